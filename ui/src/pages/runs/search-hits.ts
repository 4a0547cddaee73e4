/** Where in a run the searched words stand, as far as the list knows: what it does not show is the input. */

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

/** What the page of the run is to look for, so that one sees why it was found. */
export function searchInRun(run: Run, search: string | undefined): Search {
  return hitOf(run, search) === "input" ? { find: search } : {};
}
