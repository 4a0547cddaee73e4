/** Line diff of two texts, side by side. */

import { useMemo } from "react";
import { sideBySide } from "@/lib/diff";
import { classes } from "@/lib/format";

export function DiffView({ before, after, heads, label }: { before: string; after: string; heads: [string, string]; label: string }) {
  const rows = useMemo(() => sideBySide(before.split("\n"), after.split("\n")), [before, after]);
  return (
    <div role="region" aria-label={label} tabIndex={0} className="max-h-[46vh] overflow-auto rounded-md font-mono text-xs leading-5 hairline">
      <div className="sticky top-0 grid grid-cols-2 border-b bg-sunken font-sans text-xs font-medium text-muted">
        {heads.map((head) => (
          <div key={head} className="px-3 py-1">
            {head}
          </div>
        ))}
      </div>
      {rows.map((row, index) => (
        <div key={index} className="grid grid-cols-2">
          <Side text={row.before} mark={row.same ? null : "−"} tone="bg-bad-soft" />
          <Side text={row.after} mark={row.same ? null : "+"} tone="bg-ok-soft" />
        </div>
      ))}
    </div>
  );
}

function Side({ text, mark, tone }: { text: string | null; mark: string | null; tone: string }) {
  return (
    <div className={classes("flex min-w-0 border-l first:border-l-0", text !== null && mark && tone)}>
      <span aria-hidden className="w-5 shrink-0 pl-2 text-faint select-none">
        {text === null ? "" : mark}
      </span>
      <span className="min-w-0 flex-1 pr-2 break-all whitespace-pre-wrap">{text}</span>
    </div>
  );
}
