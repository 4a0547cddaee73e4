import { useNavigate, useSearch } from "@tanstack/react-router";
import { FileBox } from "lucide-react";
import type { Product } from "@/api/types";
import { ProductList } from "@/components/product-list";
import { SearchField } from "@/components/search-field";
import { Empty, Loaded } from "@/components/states";
import { Segments, Sentinel } from "@/components/ui";
import { usePages } from "@/components/use-pages";
import { productStatusLabels } from "@/lib/labels";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

export function ProductsPage() {
  useTitle("Products");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const status = typeof search.status === "string" ? search.status : "";
  const text = typeof search.q === "string" ? search.q : "";
  const { answer, rows, more } = usePages<Product>(["products"], "products", { status, search: text });
  const go = (change: Record<string, string | undefined>) => void navigate({ to: "/products", search: { ...search, ...change }, replace: true });
  return (
    <>
      <PageHead title="Products">
        <SearchField value={text} onChange={(q) => go({ q: q || undefined })} placeholder="Search file names" className="w-52" />
        <Segments label="Status" value={status} onChange={(next) => go({ status: next || undefined })} options={[{ key: "", label: "All" }, ...(["stored", "sent", "failed"] as const).map((key) => ({ key: key as string, label: productStatusLabels[key] }))]} />
      </PageHead>
      <Loaded query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty icon={<FileBox />} title={text || status ? "No products match" : "No products"}>
              {!text && !status && (
                <>
                  A product is a file created by a step: <code>await turbine.send_product("report.csv", data)</code>
                </>
              )}
            </Empty>
          ) : (
            <ProductList products={rows} showRun foot={answer.hasNextPage && <Sentinel key={rows.length} onSeen={more} />} />
          )
        }
      </Loaded>
    </>
  );
}
