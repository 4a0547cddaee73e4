/** The records of the server, as the contract writes them. Times are ISO texts in UTC, durations seconds. */

import type { Json } from "./lossless";

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export type Role = "viewer" | "approver" | "operator" | "admin";

export interface Session {
  authenticated: boolean;
  needs_setup: boolean;
  auth: "accounts" | "none" | "host";
  role?: Role;
  email?: string;
  csrf?: string;
  version: string;
  application_id: string;
  database: "sqlite" | "postgres";
}

export const statuses = [
  "PENDING",
  "ENQUEUED",
  "WAITING_FOR_APPROVAL",
  "SUCCESS",
  "ERROR",
  "CANCELLED",
  "MAX_RECOVERY_ATTEMPTS_EXCEEDED",
] as const;
export type RunStatus = (typeof statuses)[number];

export interface Run {
  workflow_id: string;
  status: RunStatus;
  name: string;
  created_at: string;
  updated_at: string;
  started_at: string | null;
  completed_at: string | null;
  duration: number | null;
  output?: Json;
  error: string | null;
  input?: { args: Json[]; kwargs: Record<string, Json> } | null;
  input_truncated?: boolean;
  output_truncated?: boolean;
  executor_id: string | null;
  application_version: string;
  application_id: string;
  attempts: number;
  queue_name: string | null;
  queue_partition_key: string | null;
  deduplication_id: string | null;
  priority: number;
  timeout: number | null;
  deadline: string | null;
  parent_workflow_id: string | null;
  forked_from: string | null;
  app_status: string | null;
  app_status_color: string | null;
  summary: string | null;
  tags: string[];
  reason: string | null;
  attention: string | null;
}

/** Who carried out an attempt. */
export interface Process {
  executor_id: string;
  hostname: string;
  process_id: number;
  application_version: string;
}

export interface Attempt {
  number: number;
  started_at: string;
  ended_at: string | null;
  error: string | null;
  traceback?: string | null;
  process?: Process | null;
}

export interface Step {
  workflow_id: string;
  function_id: number;
  function_name: string;
  position: string;
  kind: "step" | "wait" | "child" | "mark";
  output: Json;
  error: string | null;
  started_at: string;
  ended_at: string | null;
  attempts: Attempt[];
  child_workflow_id: string | null;
  child_status?: RunStatus | null;
  output_truncated?: boolean;
  traceback?: string | null;
}

export interface TreeNode {
  id: string;
  name: string;
  type: "step" | "child-workflow" | "approval" | "workflow-result";
  status: "success" | "error" | "running" | "cancelled" | "waiting";
  function_id: number | null;
  position: string | null;
  started_at_ms: number | null;
  ended_at_ms: number | null;
  output: Json;
  error: string | null;
  child_workflow_id: string | null;
}

export interface StepsTree {
  nodes: TreeNode[];
  edges: { source: string; target: string }[];
  workflow_status: RunStatus;
  truncated?: boolean;
}

export interface FamilyNode {
  workflow_id: string;
  name: string;
  status: RunStatus;
  parent_workflow_id: string | null;
  position: string | null;
  created_at: string;
  completed_at: string | null;
}

export interface Explanation {
  reason: string;
  text: string;
  since: string | null;
  until: string | null;
  held_by: string[];
  advice: string | null;
  stack: CodeLine[];
}

export interface CodeLine {
  file: string;
  line: number;
  function: string;
}

export interface Wait {
  position: string;
  kind: string;
  subject: string;
  since: string;
  deadline: string | null;
}

export interface ActionAnswer {
  workflow_id: string;
  changed: boolean;
  status: RunStatus;
}

export interface BulkAnswer {
  matched: number;
  affected: number;
  capped: boolean;
  done: number;
  next_cursor: string | null;
  failed: { workflow_id: string; detail: string }[];
}

export interface ErrorGroup {
  fingerprint: string;
  workflow: string;
  step: string | null;
  type: string;
  message: string;
  place: string | null;
  count: number;
  first_at: string;
  last_at: string;
  workflow_ids: string[];
  state: "open" | "resolved" | "ignored";
  state_by: string | null;
  state_at: string | null;
}

export interface CalendarDay {
  time: string | number;
  success: number;
  error: number;
  cancelled: number;
  open: number;
  planned: number;
}

export type Schema = { [key: string]: Json };

export interface Registered {
  name: string;
  fqn: string;
  triggerable: boolean;
  cron_schedule: string | null;
  input_schema: Schema | null;
  tags: string[];
  docstring: string | null;
  parameters: Schema | null;
  /** As Python writes it. */
  signature: string | null;
  /** `file:line` */
  source: string | null;
  here: boolean;
}

export interface RegisteredDetail extends Registered {
  success_rate: number | null;
  p50: number | null;
  p95: number | null;
  counts: Partial<Record<RunStatus, number>>;
  last_errors: Run[];
  versions: { version: string; open: number; set_aside: number; live: boolean }[];
  schedules: Schedule[];
  last_input: Json;
}

export interface Queue {
  name: string;
  worker_concurrency: number | null;
  global_concurrency: number | null;
  rate_limit: { limit: number; per: number } | null;
  priority: boolean;
  partitioned: boolean;
  batch_max: number;
  release_while_waiting: boolean;
  paused: boolean;
}

export interface QueueNumbers {
  enqueued: number;
  running: number;
  completed: number;
  failed: number;
  oldest_age: number | null;
  throughput_per_minute: number;
}

export interface QueueStats extends QueueNumbers {
  holders: { workflow_id: string; name: string; executor_id: string | null; since: string | null }[];
  partitions: { key: string; enqueued: number; running: number }[];
}

export interface Approval {
  id: string;
  workflow_id: string;
  name: string;
  function_id: number;
  position: string;
  title: string | null;
  details: Json;
  form: Schema | null;
  status: "open" | "approved" | "rejected" | "expired" | "cancelled";
  due_at: string | null;
  created: string;
  decided_at: string | null;
  by: string | null;
  comment: string | null;
  data: Json;
  assignees: string[];
  summary: string | null;
}

export type ScheduleSpec =
  | { type: "cron"; expression: string; timezone?: string; jitter?: number | null; catch_up?: "last" | "none" | "all"; overlap?: "start" | "skip" }
  | { type: "once"; at: string };

export interface Schedule {
  id: string;
  name: string;
  workflow: string;
  workflow_fqn: string;
  type: "compile" | "cron" | "once";
  enabled: boolean;
  created: string;
  updated: string;
  input: Json;
  cron_expression: string | null;
  timezone: string | null;
  jitter: number | null;
  catch_up: "last" | "none" | "all";
  scheduled_at: string | null;
  next_at: string | null;
  last_at: string | null;
  last_workflow_id: string | null;
  last_error: string | null;
  overlap: "start" | "skip";
  /** Why somebody turned it off. */
  reason: string | null;
  description?: string | null;
}

export interface ScheduleDetail extends Schedule {
  next: string[];
  last_runs: Run[];
}

export interface KvChange {
  value: Json;
  at: string;
  by: string | null;
}

export interface Backfill {
  ticks: string[];
  started: string[];
  existing: string[];
  failed: Record<string, string>;
}

export interface KvRecord {
  key: string;
  value: Json;
  schema: Schema | null;
  updated: string;
}

export interface Product {
  id: string;
  workflow_id: string;
  function_id: number;
  function_name: string;
  file_name: string;
  size: number;
  sha256: string;
  metadata: Json;
  status: "stored" | "sent" | "failed";
  error: string | null;
  created: string;
}

export interface Webhook {
  id: string;
  url: string;
  events: string[];
  enabled: boolean;
  secret_set: boolean;
  created: string;
  updated: string;
}

export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

export interface QuietHours {
  start: string;
  end: string;
  timezone: string;
  weekdays: (typeof weekdays)[number][];
  urgent: string[];
}

export interface AlertChannel {
  id: string;
  name: string;
  url: string;
  events: string[];
  enabled: boolean;
  workflows: string[];
  quiet: QuietHours | null;
  quiet_until: string | null;
  created: string;
  updated: string;
}

export interface Delivery {
  id: string;
  kind: "webhook" | "alert" | "product";
  target: string;
  event: string;
  workflow_id: string | null;
  status: "pending" | "delivered" | "dead";
  attempts: DeliveryAttempt[] | number;
  next_at: string | null;
  created: string;
  payload?: Json;
}

export interface DeliveryAttempt {
  number: number;
  at: string;
  status_code: number | null;
  error: string | null;
  duration: number | null;
}

export interface Executor {
  executor_id: string;
  hostname: string;
  process_id: number;
  application_version: string;
  started_at: string;
  lease_age: number;
  alive: boolean;
  runs_held: number;
  names: string[];
  threads: number | null;
  threads_max: number | null;
  loop_delay: number | null;
  memory_bytes: number | null;
  here: boolean;
}

export interface Departure {
  executor_id: string;
  hostname: string;
  process_id: number;
  application_version: string;
  started_at: string;
  left_at: string;
  taken_by: string | null;
  runs: number;
}

export interface Roll extends Page<Executor> {
  past_executors: Departure[];
}

export interface LogLine {
  id: string | number;
  at: string;
  level: string;
  logger: string | null;
  message: string;
  workflow_id: string | null;
  step: string | null;
}

export interface AuditLine {
  id: string | number;
  at: string;
  actor: string;
  role: string | null;
  action: string;
  target: string | null;
  workflow_id?: string | null;
  detail: Json;
}

export interface Account {
  id: string;
  email: string;
  role: Role;
  enabled: boolean;
  created: string;
  last_login: string | null;
}

export interface Token {
  id: string;
  name: string;
  role: Role;
  expires: string | null;
  created: string;
  token?: string;
}

export interface Settings {
  config: Record<string, string>;
  storage: {
    database_bytes: number;
    free_bytes: number | null;
    disk_free_bytes: number | null;
    growth: { sizes: { at: string; bytes: number; used_bytes: number }[]; per_day: number | null; full_in: number | null };
    tables: { name: string; rows: number | null; bytes: number | null }[];
    products_bytes: number;
  };
  versions: Record<string, string>;
}

/** How long some runs are kept; null stands for any, or for ever. */
export interface RetentionRule {
  workflow: string | null;
  status: RunStatus | null;
  keep: number | null;
  updated: string;
}

export interface Message {
  topic: string;
  body: Json;
  created_at: string;
  consumed_position: string | null;
}

export interface Value {
  key: string;
  value: Json;
  updated_at: string;
}

export interface MetricsSummary {
  throughput: { time: string; finished: number; failed: number; p50: number | null; p95: number | null }[];
  queue_age: { queue: string; enqueued: number; running: number; oldest_age: number | null }[];
  by_status: Partial<Record<RunStatus, number>>;
  since: string;
  finished: number;
  failed: number;
  p50: number | null;
  p95: number | null;
  sampled: boolean;
}
