/** The records of the API under the names that the dashboard uses; their shape is generated (`npm run types`). */

import type { Json } from "./exact-json";
import type { components } from "./schema";

type Schemas = components["schemas"];

/** A record as the server sends it: with every field, also those that have a default, and any value as exact JSON. */
type Sent<T> = unknown extends T ? Json : T extends (infer Item)[] ? Sent<Item>[] : T extends object ? { [Key in keyof T]-?: Sent<T[Key]> } : T;

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export type Schema = { [key: string]: Json };

export type Role = Schemas["Role"];
export type RunStatus = Schemas["WorkflowStatus"];
export const statuses = [
  "PENDING",
  "ENQUEUED",
  "WAITING_FOR_APPROVAL",
  "SUCCESS",
  "ERROR",
  "CANCELLED",
  "MAX_RECOVERY_ATTEMPTS_EXCEEDED",
] as const satisfies RunStatus[];

export type Session = Sent<Schemas["SessionResponse"]>;

/** A run; lists leave out its input and output. */
export type Run = Sent<Schemas["RunResponse"]> & Partial<Pick<Sent<Schemas["RunDetailResponse"]>, "output" | "input_truncated" | "output_truncated">> & { input?: Arguments | null };
export type Arguments = { args: Json[]; kwargs: Record<string, Json> };
export type Step = Sent<Schemas["StepDetail"]>;
export type Attempt = Step["attempts"][number];
export type StepsTree = Sent<Schemas["StepsTree"]>;
export type TreeNode = StepsTree["nodes"][number];
export type Lineage = Sent<Schemas["Lineage"]>;
export type RelatedRun = Lineage["nodes"][number];
export type Explanation = Sent<Schemas["Explanation"]>;
export type CodeLine = Explanation["stack"][number];
export type Wait = Sent<Schemas["WaitRecord"]>;
export type Message = Sent<Schemas["MessageRecord"]>;
export type Value = Sent<Schemas["ValueRecord"]>;
export type ActionResult = Sent<Schemas["RunChange"]>;
export type BulkResult = Sent<Schemas["BulkChange"]>;
export type ErrorGroup = Sent<Schemas["FailureGroup"]>;
export type CalendarDay = Sent<Schemas["CalendarSpan"]>;

export type Registered = Sent<Schemas["RegisteredWorkflow"]>;
export type RegisteredDetail = Sent<Schemas["RegisteredResponse"]>;

export type Queue = Sent<Schemas["Queue"]>;
export type ListedQueue = Sent<Schemas["ListedQueue"]>;
export type QueueStats = Sent<Schemas["QueueStats"]>;

export type Approval = Sent<Schemas["ApprovalRecord"]>;
export type ApprovalByLink = Sent<Schemas["QuestionResponse"]>;

export type Schedule = Sent<Schemas["ScheduleRecord"]>;
export type ScheduleDetail = Sent<Schemas["ScheduleDetailResponse"]>;
export type ScheduleSpec = Partial<Schemas["TimesRequest"]> & Pick<Schemas["TimesRequest"], "type">;
export type Backfill = Sent<Schemas["Backfill"]>;

export type KvRecord = Sent<Schemas["KVRecord"]> & { schema: Schema | null };
export type KvChange = Sent<Schemas["KVChange"]>;
export type Product = Sent<Schemas["ProductRecord"]>;

export type Webhook = Sent<Schemas["WebhookRecord"]>;
export type AlertChannel = Sent<Schemas["AlertChannelResponse"]>;
export type QuietHours = Sent<Schemas["QuietHours"]>;
export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const satisfies QuietHours["weekdays"];
export type Delivery = Sent<Schemas["DeliveryRecord"]> & { payload?: Json };

export type ExecutorList = Sent<Schemas["ExecutorList"]>;
export type Executor = ExecutorList["items"][number];
export type PastExecutor = ExecutorList["past_executors"][number];

export type LogLine = Sent<Schemas["LogRecord"]>;
export type AuditLine = Sent<Schemas["AuditRecord"]>;
export type Account = Sent<Schemas["AccountRecord"]>;
export type AccountSession = Sent<Schemas["SessionRecord"]>;
export type Token = Sent<Schemas["TokenRecord"]>;
export type NewToken = Token & { token: string };
export type Settings = Sent<Schemas["SettingsResponse"]>;
export type RetentionRule = Sent<Schemas["RetentionRule"]>;
export type CleanupPreview = Sent<Schemas["GarbagePreview"]>;
export type VacuumResult = Sent<Schemas["Vacuumed"]>;
export type QueryResult = Sent<Schemas["QueryResponse"]>;
export type MetricsSummary = Sent<Schemas["MetricsSummary"]>;
