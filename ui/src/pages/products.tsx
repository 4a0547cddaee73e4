import { useNavigate, useSearch } from "@tanstack/react-router";
import { FileBox } from "lucide-react";
import type { Product } from "@/api/types";
import { usePages } from "@/components/pages";
import { ProductList } from "@/components/product-list";
import { SearchField } from "@/components/search-field";
import { Answer, Empty } from "@/components/states";
import { Segments, Sentinel } from "@/components/ui";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { productText, productsText } from "@/text";

export function ProductsPage() {
  useTitle(productsText.title);
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const status = typeof search.status === "string" ? search.status : "";
  const text = typeof search.q === "string" ? search.q : "";
  const { answer, rows, more } = usePages<Product>(["products"], "products", { status, search: text });
  const go = (change: Record<string, string | undefined>) => void navigate({ to: "/products", search: { ...search, ...change }, replace: true });
  return (
    <>
      <PageHead title={productsText.title}>
        <SearchField value={text} onChange={(q) => go({ q: q || undefined })} placeholder={productsText.search} className="w-52" />
        <Segments label={productsText.status} value={status} onChange={(next) => go({ status: next || undefined })} options={[{ key: "", label: productsText.all }, ...(["stored", "sent", "failed"] as const).map((key) => ({ key: key as string, label: productText.statuses[key] }))]} />
      </PageHead>
      <Answer query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty icon={<FileBox />} title={text || status ? productsText.noneMatch : productsText.none}>
              {!text && !status && (
                <>
                  {productsText.noneNote} <code>await turbine.send_product("report.csv", data)</code>
                </>
              )}
            </Empty>
          ) : (
            <ProductList products={rows} showRun foot={answer.hasNextPage && <Sentinel key={rows.length} onSeen={more} />} />
          )
        }
      </Answer>
    </>
  );
}
