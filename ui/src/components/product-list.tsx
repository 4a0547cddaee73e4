/** Lists products, with preview, download and resend. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Download, FileImage, FileText, FileType, Send } from "lucide-react";
import { useEffect, useState } from "react";
import { address, part, post } from "@/api/client";
import { useCan } from "@/api/session";
import type { Product } from "@/api/types";
import { bytes } from "@/lib/format";
import { productStatusLabels } from "@/lib/labels";
import { JsonView } from "./json";
import { Failed } from "./states";
import { Pill } from "./status";
import { Table } from "./table";
import { showError, showToast } from "./toast";
import { Ago, Button, Copyable, Sheet, Skeleton } from "./ui";

const tones = { stored: "idle", sent: "ok", failed: "bad" } as const;
export const pictures = /\.(png|jpe?g|gif|webp|avif)$/i;
export const texts = /\.(txt|csv|tsv|json|jsonl|ndjson|md|log|xml|ya?ml|html?|svg|py|sql|ini|toml)$/i;
const previewMost = 2 * 1024 * 1024;

export function ProductList({ products, inline, showRun, foot }: { products: Product[]; inline?: boolean; showRun?: boolean; foot?: React.ReactNode }) {
  const [open, setOpen] = useState<Product | null>(null);
  return (
    <>
      <Table
        label="Products"
        rows={products}
        inline={inline}
        foot={foot}
        id={(product) => product.id}
        onOpen={setOpen}
        columns={[
          {
            key: "file",
            head: "File",
            cell: (product) => (
              <button type="button" onClick={() => setOpen(product)} className="flex max-w-full items-center gap-2 font-medium hover:underline">
                {pictures.test(product.file_name) ? <FileImage className="size-4 shrink-0 text-faint" /> : texts.test(product.file_name) ? <FileText className="size-4 shrink-0 text-faint" /> : <FileType className="size-4 shrink-0 text-faint" />}
                <span className="truncate">{product.file_name}</span>
              </button>
            ),
            width: "minmax(140px, 2fr)",
          },
          ...(showRun
            ? [
                {
                  key: "run",
                  head: "Run",
                  wide: true,
                  cell: (product: Product) => (
                    <Link to="/runs/$id" params={{ id: product.workflow_id }} className="font-mono text-xs text-muted hover:text-accent">
                      {product.workflow_id}
                    </Link>
                  ),
                  width: "minmax(120px, 1fr)",
                },
              ]
            : []),
          { key: "step", head: "Step", wide: true, cell: (product) => <span className="text-muted">{product.function_name}</span>, width: "minmax(90px, 140px)" },
          { key: "status", head: "Status", cell: (product) => <Pill tone={tones[product.status]}>{productStatusLabels[product.status]}</Pill>, width: "72px" },
          { key: "size", head: "Size", wide: true, cell: (product) => bytes(product.size), width: "72px", end: true },
          { key: "created", head: "Created", cell: (product) => <Ago at={product.created} className="text-muted" />, width: "72px", end: true },
          {
            key: "load",
            head: <span className="sr-only">Download</span>,
            cell: (product) => (
              <a href={address(`products/${part(product.id)}/download`)} download aria-label={`Download ${product.file_name}`} title="Download" className="inline-flex size-7 items-center justify-center rounded-md text-faint hover:bg-hover hover:text-text">
                <Download className="size-4" />
              </a>
            ),
            width: "28px",
          },
        ]}
      />
      <Sheet open={open !== null} onClose={() => setOpen(null)} title={open?.file_name ?? ""}>
        {open && <ProductDetail product={products.find((product) => product.id === open.id) ?? open} />}
      </Sheet>
    </>
  );
}

export function useResend(product: Product) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => post(`products/${part(product.id)}/resend`),
    onSuccess: () => {
      showToast("Product queued for resending");
      void client.invalidateQueries({ queryKey: ["products"] });
    },
    onError: (error) => showError(error),
  });
}

export function ProductDetail({ product }: { product: Product }) {
  const may = useCan("operator");
  const act = useResend(product);
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex h-12 shrink-0 items-center border-b pr-12 pl-4">
        <h2 className="truncate font-semibold">{product.file_name}</h2>
      </div>
      <div className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto p-4">
        <Preview product={product} />
        <dl className="grid grid-cols-[88px_1fr] gap-y-1.5">
          <dt className="text-faint">Status</dt>
          <dd>
            <Pill tone={tones[product.status]}>{productStatusLabels[product.status]}</Pill>
          </dd>
          <dt className="text-faint">Size</dt>
          <dd>{bytes(product.size)}</dd>
          <dt className="text-faint">Created</dt>
          <dd>
            <Ago at={product.created} />
          </dd>
          <dt className="text-faint">Run</dt>
          <dd className="min-w-0 truncate">
            <Link to="/runs/$id" params={{ id: product.workflow_id }} className="font-mono text-xs text-accent hover:underline">
              {product.workflow_id}
            </Link>
          </dd>
          <dt className="text-faint">Step</dt>
          <dd>{product.function_name}</dd>
          <dt className="text-faint">SHA-256</dt>
          <dd className="min-w-0">
            <Copyable text={product.sha256} className="font-mono text-xs leading-5">
              {product.sha256}
            </Copyable>
          </dd>
        </dl>
        {product.error && <div className="rounded-md bg-bad-soft px-3 py-2 break-words text-bad">{product.error}</div>}
        {product.metadata !== null && product.metadata !== undefined && <JsonView label="Metadata" value={product.metadata} />}
      </div>
      <div className="flex shrink-0 gap-2 border-t px-4 py-3">
        <a href={address(`products/${part(product.id)}/download`)} download className="inline-flex h-8 items-center gap-1.5 rounded-md bg-accent px-3 font-medium text-on-accent hover:bg-accent-hover">
          <Download className="size-4" /> Download
        </a>
        {may && product.status === "failed" && (
          <Button icon={<Send />} busy={act.isPending} onClick={() => act.mutate()}>
            Resend
          </Button>
        )}
      </div>
    </div>
  );
}

/** Preview of an image or text file. Its content is never executed. */
function Preview({ product }: { product: Product }) {
  const [shown, setShown] = useState<{ text?: string; picture?: string } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [again, setAgain] = useState(0);
  const can = product.size <= previewMost && (pictures.test(product.file_name) || texts.test(product.file_name));
  useEffect(() => {
    if (!can) return;
    const stop = new AbortController();
    let url: string | undefined;
    setError(null);
    void (async () => {
      try {
        const response = await fetch(address(`products/${part(product.id)}/download`), { signal: stop.signal, credentials: "same-origin" });
        if (!response.ok) throw new Error("Could not load the file");
        if (pictures.test(product.file_name)) {
          url = URL.createObjectURL(await response.blob());
          setShown({ picture: url });
        } else setShown({ text: (await response.text()).slice(0, 100_000) });
      } catch (problem) {
        if (!stop.signal.aborted) setError(problem);
      }
    })();
    return () => {
      stop.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [can, product.id, product.file_name, again]);
  if (!can) return <div className="rounded-md bg-sunken px-3 py-6 text-center text-faint hairline">{product.size > previewMost ? "Too large for a preview" : "No preview for this file type"}</div>;
  if (error) return <Failed error={error} onRetry={() => setAgain(again + 1)} />;
  if (!shown) return <Skeleton className="h-40 w-full" />;
  if (shown.picture) return <img src={shown.picture} alt={product.file_name} className="max-h-96 rounded-md bg-sunken object-contain hairline" />;
  return <pre tabIndex={0} className="max-h-96 overflow-auto rounded-md bg-sunken p-3 font-mono text-xs leading-5 hairline">{shown.text}</pre>;
}

