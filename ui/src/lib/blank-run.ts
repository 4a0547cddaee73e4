import type { Run } from "@/api/types";

/** A run with only its identity set, for rows that do not come from the server. */
export function blankRun(identity: Pick<Run, "workflow_id" | "status" | "name" | "created_at">): Run {
  return {
    ...identity,
    updated_at: identity.created_at,
    started_at: null,
    completed_at: null,
    duration: null,
    error: null,
    executor_id: null,
    application_version: "",
    application_id: "",
    attempts: 0,
    queue_name: null,
    queue_partition_key: null,
    deduplication_id: null,
    priority: 0,
    timeout: null,
    deadline: null,
    parent_workflow_id: null,
    forked_from: null,
    app_status: null,
    app_status_color: null,
    summary: null,
    tags: [],
    reason: null,
    attention: null,
  };
}
