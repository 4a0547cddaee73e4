/** Line diff for a side-by-side view. */

import { diffArrays } from "diff";

export interface Pair {
  before: string | null;
  after: string | null;
  same: boolean;
}

/** Limit on changed lines: beyond it the search takes long and its result is of little help. */
const maxEditLength = 4000;

export function sideBySide(before: string[], after: string[]): Pair[] {
  const pairs: Pair[] = [];
  let removed: string[] = [];
  let added: string[] = [];
  const flush = () => {
    for (let index = 0; index < Math.max(removed.length, added.length); index++) pairs.push({ before: removed[index] ?? null, after: added[index] ?? null, same: false });
    [removed, added] = [[], []];
  };
  const parts = diffArrays(before, after, { maxEditLength }) ?? [
    { value: before, removed: true, added: false },
    { value: after, removed: false, added: true },
  ];
  for (const part of parts) {
    if (part.removed) removed = part.value;
    else if (part.added) added = part.value;
    else {
      flush();
      pairs.push(...part.value.map((text) => ({ before: text, after: text, same: true })));
    }
  }
  flush();
  return pairs;
}
