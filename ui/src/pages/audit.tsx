/** Who changed what, and when. */

import { useNavigate, useSearch } from "@tanstack/react-router";
import { Download, ScrollText } from "lucide-react";
import type { AuditLine } from "@/api/types";
import { stringify } from "@/api/lossless";
import { AuditTable } from "@/components/audit-table";
import { usePages } from "@/components/pages";
import { SearchField } from "@/components/search-field";
import { Answer, Empty } from "@/components/states";
import { Button, Sentinel } from "@/components/ui";
import { download } from "@/lib/words";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { auditPageText } from "@/text";

export function AuditPage() {
  useTitle(auditPageText.title);
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const of = (key: string) => (typeof search[key] === "string" ? (search[key] as string) : "");
  const { answer, rows, more } = usePages<AuditLine>(["audit"], "audit", { actor: of("actor"), action: of("action"), target: of("target") });
  const go = (change: Record<string, string | undefined>) => void navigate({ to: "/audit", search: { ...search, ...change }, replace: true });
  const narrowed = of("actor") || of("action") || of("target");
  return (
    <>
      <PageHead title={auditPageText.title}>
        <SearchField value={of("actor")} onChange={(text) => go({ actor: text || undefined })} placeholder={auditPageText.actor} className="w-40" />
        <SearchField value={of("action")} onChange={(text) => go({ action: text || undefined })} placeholder={auditPageText.action} className="w-36 max-md:hidden" />
        <SearchField value={of("target")} onChange={(text) => go({ target: text || undefined })} placeholder={auditPageText.target} className="w-40 max-md:hidden" />
        <Button icon={<Download />} disabled={rows.length === 0} onClick={() => download("audit.jsonl", rows.map((row) => stringify(row)).join("\n"))}>
          {auditPageText.export}
        </Button>
      </PageHead>
      <Answer query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty icon={<ScrollText />} title={narrowed ? auditPageText.noneMatch : auditPageText.none}>
              {!narrowed && auditPageText.noneNote}
            </Empty>
          ) : (
            <>
              <AuditTable lines={rows} />
              {answer.hasNextPage && <Sentinel key={rows.length} onSeen={more} />}
            </>
          )
        }
      </Answer>
    </>
  );
}
