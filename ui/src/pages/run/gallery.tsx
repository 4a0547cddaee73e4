/** The products of a run as cards with preview, status and checksum. */

import { useQuery } from "@tanstack/react-query";
import { Download, FileImage, FileText, FileType, Send } from "lucide-react";
import { useState } from "react";
import { address, part } from "@/api/client";
import { useCan } from "@/api/session";
import type { Product } from "@/api/types";
import { pictures, ProductDetail, texts, useResend } from "@/components/product-list";
import { Pill } from "@/components/status";
import { Ago, Button, Copyable, Sheet } from "@/components/ui";
import { bytes } from "@/lib/format";
import { productStatusLabels } from "@/lib/labels";

const tones = { stored: "idle", sent: "ok", failed: "bad" } as const;
const pictureMost = 4 * 1024 * 1024;
const textMost = 128 * 1024;
const linesMost = 14;

export function Gallery({ products }: { products: Product[] }) {
  const [open, setOpen] = useState<string | null>(null);
  const chosen = products.find((product) => product.id === open);
  return (
    <>
      <ul aria-label="Products" className="grid grid-cols-[repeat(auto-fill,minmax(220px,1fr))] gap-4 p-4">
        {products.map((product) => (
          <Card key={product.id} product={product} onOpen={() => setOpen(product.id)} />
        ))}
      </ul>
      <Sheet open={chosen !== undefined} onClose={() => setOpen(null)} title={chosen?.file_name ?? ""}>
        {chosen && <ProductDetail product={chosen} />}
      </Sheet>
    </>
  );
}

function Card({ product, onOpen }: { product: Product; onOpen: () => void }) {
  const may = useCan("operator");
  const resend = useResend(product);
  return (
    <li className="flex min-w-0 flex-col overflow-hidden rounded-lg border bg-bg">
      <button type="button" tabIndex={-1} aria-hidden onClick={onOpen} className="block h-32 overflow-hidden border-b bg-sunken text-left">
        <Thumb product={product} />
      </button>
      <div className="flex min-w-0 flex-1 flex-col gap-1 px-3 py-2.5">
        <div className="flex min-w-0 items-center gap-2">
          <button type="button" onClick={onOpen} className="min-w-0 flex-1 truncate text-left font-medium hover:underline">
            {product.file_name}
          </button>
          <Pill tone={tones[product.status]}>{productStatusLabels[product.status]}</Pill>
        </div>
        <div className="truncate text-xs text-muted">
          {bytes(product.size)} · {product.function_name} · <Ago at={product.created} />
        </div>
        {product.error && (
          <div className="truncate text-xs text-bad" title={product.error}>
            {product.error}
          </div>
        )}
        <div className="mt-auto flex items-center gap-1 pt-1">
          <span title={product.sha256} className="truncate font-mono text-xs text-faint">
            SHA-256 {product.sha256.slice(0, 8)}…
          </span>
          <Copyable text={product.sha256} label="Copy SHA-256" />
          <span className="flex-1" />
          {may && product.status === "failed" && <Button size="sm" tone="ghost" icon={<Send />} aria-label={`Resend ${product.file_name}`} title="Resend" busy={resend.isPending} onClick={() => resend.mutate()} />}
          <a href={address(`products/${part(product.id)}/download`)} download aria-label={`Download ${product.file_name}`} title="Download" className="inline-flex size-7 items-center justify-center rounded-md text-faint hover:bg-hover hover:text-text">
            <Download className="size-4" />
          </a>
        </div>
      </div>
    </li>
  );
}

/** The image, the first lines of a text, or an icon. */
function Thumb({ product }: { product: Product }) {
  const [isBroken, setBroken] = useState(false);
  const url = address(`products/${part(product.id)}/download`, { preview: 1 });
  const isText = texts.test(product.file_name) && product.size <= textMost;
  const text = useQuery({
    queryKey: ["products", "thumb", product.id, product.sha256],
    queryFn: async ({ signal }) => {
      const response = await fetch(url, { signal, credentials: "same-origin" });
      if (!response.ok) throw new Error("Could not load the file");
      return (await response.text()).split("\n").slice(0, linesMost).join("\n").slice(0, 2000);
    },
    enabled: isText,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    refetchInterval: false,
  }).data;
  if (pictures.test(product.file_name) && product.size <= pictureMost && !isBroken) return <img src={url} alt="" loading="lazy" onError={() => setBroken(true)} className="size-full object-cover" />;
  if (text !== undefined) return <pre className="size-full overflow-hidden px-3 py-2 font-mono text-2xs leading-4 text-muted">{text}</pre>;
  const Icon = pictures.test(product.file_name) ? FileImage : texts.test(product.file_name) ? FileText : FileType;
  return (
    <span className="flex size-full items-center justify-center text-faint">
      <Icon className="size-7 stroke-[1.25]" />
    </span>
  );
}
