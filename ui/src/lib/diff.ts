/** Lines of two texts beside each other. */

import { diffArrays } from "diff";

export interface Pair {
  before: string | null;
  after: string | null;
  same: boolean;
}

/** With more changed lines than this a search for the common ones would take long, and its result help little. */
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
