/** Tabs of a run: related runs, messages and values, products, history. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { RelatedRun, Run } from "@/api/types";
import { AuditTable } from "@/components/audit-table";
import { JsonView } from "@/components/json";
import { Empty, Loaded } from "@/components/states";
import { StatusIcon } from "@/components/status";
import { Ago, Tag } from "@/components/ui";
import { classes } from "@/lib/format";
import { duration } from "@/lib/time";
import { Gallery } from "./gallery";
import { auditQuery, lineageQuery, messagesQuery, productsQuery, valuesQuery } from "./queries";

export function RelatedRuns({ run }: { run: Run }) {
  const query = useQuery(lineageQuery(run.workflow_id, run.status));
  return (
    <Loaded query={query}>
      {(family) => {
        if (family.nodes.length < 2) return <Empty title="No related runs">Child runs started by this run appear here.</Empty>;
        const children = new Map<string | null, RelatedRun[]>();
        const ids = new Set(family.nodes.map((node) => node.workflow_id));
        for (const node of family.nodes) {
          const parent = node.parent_workflow_id && ids.has(node.parent_workflow_id) ? node.parent_workflow_id : null;
          children.set(parent, [...(children.get(parent) ?? []), node]);
        }
        const lines: { node: RelatedRun; depth: number }[] = [];
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
                {node.position !== null && <span className="text-xs text-faint">step {node.position}</span>}
                <span className="w-20 text-right text-xs text-muted">{node.completed_at ? duration(Date.parse(node.completed_at) - Date.parse(node.created_at)) : <Ago at={node.created_at} />}</span>
              </li>
            ))}
          </ul>
        );
      }}
    </Loaded>
  );
}

export function MessagesAndValues({ run }: { run: Run }) {
  const messages = useQuery(messagesQuery(run.workflow_id, run.status));
  const values = useQuery(valuesQuery(run.workflow_id, run.status));
  return (
    <div className="grid grid-cols-1 divide-x lg:grid-cols-2 max-lg:divide-x-0">
      <section className="min-w-0">
        <h3 className="px-4 pt-3 pb-2 text-xs font-medium text-muted">Messages</h3>
        <Loaded query={messages}>
          {(page) =>
            page.items.length === 0 ? (
              <p className="px-4 pb-4 text-faint">No messages.</p>
            ) : (
              <ul className="flex flex-col gap-3 px-4 pb-4">
                {page.items.map((message, index) => (
                  <li key={index}>
                    <div className="mb-1 flex items-center gap-2 text-xs">
                      <Tag>{message.topic || "default topic"}</Tag>
                      <Ago at={message.created_at} className="text-faint" />
                      <span className="flex-1" />
                      <span className={message.consumed_position === null ? "text-warn" : "text-faint"}>{message.consumed_position === null ? "not received yet" : `received at step ${message.consumed_position}`}</span>
                    </div>
                    <JsonView label="Message" value={message.body} />
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </section>
      <section className="min-w-0">
        <h3 className="px-4 pt-3 pb-2 text-xs font-medium text-muted">Published values</h3>
        <Loaded query={values}>
          {(page) =>
            page.items.length === 0 ? (
              <p className="px-4 pb-4 text-faint">No published values.</p>
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
        </Loaded>
      </section>
    </div>
  );
}

export function RunProducts({ run }: { run: Run }) {
  const query = useQuery(productsQuery(run.workflow_id));
  return <Loaded query={query}>{(page) => (page.items.length === 0 ? <Empty title="No products">Files sent with send_product() appear here.</Empty> : <Gallery products={page.items} />)}</Loaded>;
}

export function RunAudit({ run }: { run: Run }) {
  const query = useQuery(auditQuery(run.workflow_id, run.status));
  return <Loaded query={query}>{(page) => (page.items.length === 0 ? <Empty title="No history yet">Actions such as cancel, resume and approve appear here.</Empty> : <AuditTable lines={page.items} inline />)}</Loaded>;
}
