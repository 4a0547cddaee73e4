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

export type Session = Sent<Schemas["turbine__http__sign_in__Session"]>;

/** A run; lists leave out its input and output. */
export type Run = Sent<Schemas["RunRow"]> & Partial<Pick<Sent<Schemas["Run"]>, "output" | "input_truncated" | "output_truncated">> & { input?: Arguments | null };
export type Arguments = { args: Json[]; kwargs: Record<string, Json> };
export type Step = Sent<Schemas["Step"]>;
export type Attempt = Step["attempts"][number];
export type StepsTree = Sent<Schemas["Tree"]>;
export type TreeNode = StepsTree["nodes"][number];
export type Lineage = Sent<Schemas["Lineage"]>;
export type RelatedRun = Lineage["nodes"][number];
export type Explanation = Sent<Schemas["Explained"]>;
export type CodeLine = Explanation["stack"][number];
export type Wait = Sent<Schemas["Wait"]>;
export type Message = Sent<Schemas["Message"]>;
export type Value = Sent<Schemas["Value"]>;
export type ActionResult = Sent<Schemas["Acted"]>;
export type BulkResult = Sent<Schemas["BulkDone"]>;
export type ErrorGroup = Sent<Schemas["Group"]>;
export type CalendarDay = Sent<Schemas["Day"]>;

export type Registered = Sent<Schemas["Registered"]>;
export type RegisteredDetail = Sent<Schemas["RegisteredDetail"]>;

export type Queue = Sent<Schemas["Queue"]>;
export type ListedQueue = Sent<Schemas["Listed"]>;
export type QueueStats = Sent<Schemas["turbine__http__queues__Stats"]>;

export type Approval = Sent<Schemas["Approval"]>;
export type ApprovalByLink = Sent<Schemas["Asking"]>;

export type Schedule = Sent<Schemas["Schedule"]>;
export type ScheduleDetail = Sent<Schemas["ScheduleDetail"]>;
export type ScheduleSpec = Partial<Schemas["Times"]> & Pick<Schemas["Times"], "type">;
export type Backfill = Sent<Schemas["Backfilled"]>;

export type KvRecord = Sent<Schemas["Entry"]> & { schema: Schema | null };
export type KvChange = Sent<Schemas["Change"]>;
export type Product = Sent<Schemas["Product"]>;

export type Webhook = Sent<Schemas["Webhook"]>;
export type AlertChannel = Sent<Schemas["Channel"]>;
export type QuietHours = Sent<Schemas["Quiet"]>;
export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const satisfies QuietHours["weekdays"];
export type Delivery = Sent<Schemas["Delivery"]> & { payload?: Json };

export type ExecutorList = Sent<Schemas["ExecutorList"]>;
export type Executor = ExecutorList["items"][number];
export type PastExecutor = ExecutorList["past_executors"][number];

export type LogLine = Sent<Schemas["Log"]>;
export type AuditLine = Sent<Schemas["Line"]>;
export type Account = Sent<Schemas["Account"]>;
export type AccountSession = Sent<Schemas["turbine__http__accounts__Session"]>;
export type Token = Sent<Schemas["Token"]>;
export type NewToken = Sent<Schemas["MadeToken"]>;
export type Settings = Sent<Schemas["Settings"]>;
export type RetentionRule = Sent<Schemas["Rule"]>;
export type CleanupPreview = Sent<Schemas["Collectable"]>;
export type VacuumResult = Sent<Schemas["Vacuumed"]>;
export type QueryResult = Sent<Schemas["Rows"]>;
export type MetricsSummary = Sent<Schemas["Summary"]>;
