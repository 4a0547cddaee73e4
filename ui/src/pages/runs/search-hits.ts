/** Where a search matches a row; without a visible match it is in the input. */

import type { Run } from "@/api/types";
import type { Search } from "@/router";

export type Hit = "name" | "id" | "summary" | "error" | "tags" | "input";

export function hitOf(run: Run, search: string | undefined): Hit | null {
  const words = search?.trim().toLowerCase();
  if (!words) return null;
  const has = (text: string | null) => text?.toLowerCase().includes(words) ?? false;
  if (has(run.name)) return "name";
  if (has(run.error)) return "error";
  if (has(run.summary)) return "summary";
  if (run.tags.some(has)) return "tags";
  return has(run.workflow_id) ? "id" : "input";
}

/** Search parameters that make the run page show the match. */
export function searchInRun(run: Run, search: string | undefined): Search {
  return hitOf(run, search) === "input" ? { find: search } : {};
}
