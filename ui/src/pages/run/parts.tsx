/** The quieter tabs of a run: family, messages and values, products, history, comparison. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { stringify } from "@/api/lossless";
import type { FamilyNode, Run, Step } from "@/api/types";
import { AuditTable } from "@/components/audit-table";
import { JsonView } from "@/components/json";
import { ProductList } from "@/components/product-list";
import { Answer, Empty } from "@/components/states";
import { StatusBadge, StatusIcon } from "@/components/status";
import { Table } from "@/components/table";
import { Ago, Field, Input, Tag } from "@/components/ui";
import { duration } from "@/lib/time";
import { classes } from "@/lib/words";
import { partsText, statusText } from "@/text";
import { stepName } from "./layout";
import { auditQuery, familyQuery, messagesQuery, productsQuery, runQuery, stepsQuery, valuesQuery } from "./queries";

export function Family({ run }: { run: Run }) {
  const query = useQuery(familyQuery(run.workflow_id, run.status));
  return (
    <Answer query={query}>
      {(family) => {
        if (family.nodes.length < 2) return <Empty title={partsText.noFamily}>{partsText.noFamilyNote}</Empty>;
        const children = new Map<string | null, FamilyNode[]>();
        const ids = new Set(family.nodes.map((node) => node.workflow_id));
        for (const node of family.nodes) {
          const parent = node.parent_workflow_id && ids.has(node.parent_workflow_id) ? node.parent_workflow_id : null;
          children.set(parent, [...(children.get(parent) ?? []), node]);
        }
        const lines: { node: FamilyNode; depth: number }[] = [];
        const walk = (parent: string | null, depth: number) => {
          for (const node of children.get(parent) ?? []) {
            lines.push({ node, depth });
            if (depth < 50) walk(node.workflow_id, depth + 1);
          }
        };
        walk(null, 0);
        return (
          <ul>
            {lines.map(({ node, depth }) => (
              <li key={node.workflow_id} className={classes("flex h-9 items-center gap-2 border-b pr-4 hover:bg-hover", node.workflow_id === run.workflow_id && "bg-selected")} style={{ paddingLeft: 16 + Math.min(depth, 8) * 20 }}>
                <StatusIcon status={node.status} />
                <Link to="/runs/$id" params={{ id: node.workflow_id }} aria-current={node.workflow_id === run.workflow_id || undefined} className="shrink-0 font-medium hover:underline">
                  {node.name}
                </Link>
                <span className="min-w-0 flex-1 truncate font-mono text-xs text-faint">{node.workflow_id}</span>
                {node.position !== null && <span className="text-xs text-faint">{partsText.atStep(node.position)}</span>}
                <span className="w-20 text-right text-xs text-muted">{node.completed_at ? duration(Date.parse(node.completed_at) - Date.parse(node.created_at)) : <Ago at={node.created_at} />}</span>
              </li>
            ))}
          </ul>
        );
      }}
    </Answer>
  );
}

export function Talk({ run }: { run: Run }) {
  const messages = useQuery(messagesQuery(run.workflow_id, run.status));
  const values = useQuery(valuesQuery(run.workflow_id, run.status));
  return (
    <div className="grid grid-cols-1 divide-x lg:grid-cols-2 max-lg:divide-x-0">
      <section className="min-w-0">
        <h3 className="px-4 pt-3 pb-2 text-xs font-medium text-muted">{partsText.messages}</h3>
        <Answer query={messages}>
          {(page) =>
            page.items.length === 0 ? (
              <p className="px-4 pb-4 text-faint">{partsText.noMessages}</p>
            ) : (
              <ul className="flex flex-col gap-3 px-4 pb-4">
                {page.items.map((message, index) => (
                  <li key={index}>
                    <div className="mb-1 flex items-center gap-2 text-xs">
                      <Tag>{message.topic || partsText.noTopic}</Tag>
                      <Ago at={message.created_at} className="text-faint" />
                      <span className="flex-1" />
                      <span className={message.consumed_position === null ? "text-warn" : "text-faint"}>{message.consumed_position === null ? partsText.unread : partsText.readAt(message.consumed_position)}</span>
                    </div>
                    <JsonView label={partsText.body} value={message.body} />
                  </li>
                ))}
              </ul>
            )
          }
        </Answer>
      </section>
      <section className="min-w-0">
        <h3 className="px-4 pt-3 pb-2 text-xs font-medium text-muted">{partsText.values}</h3>
        <Answer query={values}>
          {(page) =>
            page.items.length === 0 ? (
              <p className="px-4 pb-4 text-faint">{partsText.noValues}</p>
            ) : (
              <ul className="flex flex-col gap-3 px-4 pb-4">
                {page.items.map((value) => (
                  <li key={value.key}>
                    <JsonView label={value.key} value={value.value} end={<Ago at={value.updated_at} className="pr-1 text-xs text-faint" />} />
                  </li>
                ))}
              </ul>
            )
          }
        </Answer>
      </section>
    </div>
  );
}

export function RunProducts({ run }: { run: Run }) {
  const query = useQuery(productsQuery(run.workflow_id));
  return <Answer query={query}>{(page) => (page.items.length === 0 ? <Empty title={partsText.noProducts}>{partsText.noProductsNote}</Empty> : <ProductList products={page.items} inline />)}</Answer>;
}

export function RunAudit({ run }: { run: Run }) {
  const query = useQuery(auditQuery(run.workflow_id, run.status));
  return <Answer query={query}>{(page) => (page.items.length === 0 ? <Empty title={partsText.noAudit}>{partsText.noAuditNote}</Empty> : <AuditTable lines={page.items} inline />)}</Answer>;
}

interface Pair {
  position: string;
  name: string;
  here: Step | undefined;
  there: Step | undefined;
  isSame: boolean;
}

export function Compare({ run, steps, other, onOther }: { run: Run; steps: Step[]; other: string; onOther: (id: string) => void }) {
  const [text, setText] = useState(other);
  const [open, setOpen] = useState<string | null>(null);
  const twin = useQuery({ ...runQuery(other), enabled: other !== "" });
  const theirs = useQuery({ ...stepsQuery(other, twin.data?.status), enabled: other !== "" });
  const byPosition = new Map((theirs.data ?? []).map((step) => [step.position, step]));
  const pairs: Pair[] = [];
  const seen = new Set<string>();
  for (const step of [...steps, ...(theirs.data ?? [])]) {
    if (seen.has(step.position)) continue;
    seen.add(step.position);
    const here = steps.find((one) => one.position === step.position);
    const there = byPosition.get(step.position);
    pairs.push({ position: step.position, name: step.function_name, here, there, isSame: here !== undefined && there !== undefined && here.error === there.error && stringify(here.output) === stringify(there.output) });
  }
  pairs.sort((a, b) => a.position.localeCompare(b.position, undefined, { numeric: true }));
  const side = (step: Step | undefined) =>
    step === undefined ? <span className="text-faint">–</span> : <span className={step.error ? "text-bad" : "text-muted"}>{step.error ? step.error.split(":")[0] : step.ended_at ? duration(Date.parse(step.ended_at) - Date.parse(step.started_at)) : partsText.running}</span>;
  const chosen = pairs.find((pair) => pair.position === open);
  return (
    <div>
      <div className="flex flex-wrap items-end gap-4 border-b px-4 py-3">
        <div className="w-80 max-md:w-full">
          <Field label={partsText.compareWith}>
            {(wires) => <Input {...wires} value={text} onChange={(event) => setText(event.target.value)} onBlur={() => text !== other && onOther(text)} onKeyDown={(event) => event.key === "Enter" && onOther(text)} className="font-mono !text-xs" />}
          </Field>
        </div>
        {twin.data && (
          <div className="flex items-center gap-2 pb-1 text-muted">
            <StatusBadge status={run.status} /> {partsText.here} · <StatusBadge status={twin.data.status} />
            <Link to="/runs/$id" params={{ id: other }} className="text-accent hover:underline">
              {partsText.there}
            </Link>
            <span>
              {stringify(run.input ?? null) === stringify(twin.data.input ?? null) ? partsText.sameInput : partsText.otherInput} · {partsText.differing(pairs.filter((pair) => !pair.isSame).length)}
            </span>
          </div>
        )}
      </div>
      {twin.error ? (
        <Empty title={partsText.compareFailed} />
      ) : (
        <Table
          inline
          label={partsText.compare}
          rows={pairs}
          id={(pair) => pair.position}
          onOpen={(pair) => setOpen(open === pair.position ? null : pair.position)}
          selected={(pair) => pair.position === open}
          columns={[
            { key: "position", head: partsText.position, cell: (pair) => <span className="font-mono text-xs">{pair.position}</span>, width: "64px" },
            { key: "name", head: partsText.step, cell: (pair) => <button type="button" onClick={() => setOpen(open === pair.position ? null : pair.position)}>{stepName(pair.name)}</button>, width: "minmax(100px, 1fr)" },
            { key: "here", head: partsText.here, cell: (pair) => side(pair.here), width: "120px" },
            { key: "there", head: partsText.there, cell: (pair) => side(pair.there), width: "120px" },
            { key: "same", head: partsText.outcome, cell: (pair) => (pair.isSame ? <span className="text-faint">{partsText.same}</span> : <span className="font-medium text-warn">{pair.here && pair.there ? partsText.differs : partsText.onlyOne}</span>), width: "96px" },
          ]}
        />
      )}
      {chosen && (
        <div className="grid grid-cols-1 gap-3 border-t p-4 lg:grid-cols-2">
          <JsonView label={`${partsText.here} · ${statusText[run.status]}`} value={chosen.here ? (chosen.here.error ?? chosen.here.output) : null} />
          <JsonView label={partsText.there} value={chosen.there ? (chosen.there.error ?? chosen.there.output) : null} />
        </div>
      )}
    </div>
  );
}
