/** Labels shared by several pages. */

import type { RunStatus } from "@/api/types";

export const eventLabels: Record<string, string> = {
  "workflow.*": "Everything",
  "workflow.SUCCESS": "Success",
  "workflow.ERROR": "Error",
  "workflow.CANCELLED": "Cancelled",
  "workflow.WAITING_FOR_APPROVAL": "Approval",
  "workflow.MAX_RECOVERY_ATTEMPTS_EXCEEDED": "Dead letter",
  test: "Test",
};

export const productStatusLabels = { stored: "Stored", sent: "Sent", failed: "Failed" };

export const jitterLabel = (seconds: number) => `Up to ${seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`}`;

export const catchUpLabels = { last: "Run the latest", none: "Skip", all: "Run all" };

export const overlapLabels = { start: "Start anyway", skip: "Skip the tick" };

export const statusLabels: Record<RunStatus, string> = {
  PENDING: "Pending",
  ENQUEUED: "Enqueued",
  WAITING_FOR_APPROVAL: "Approval",
  SUCCESS: "Success",
  ERROR: "Error",
  CANCELLED: "Cancelled",
  MAX_RECOVERY_ATTEMPTS_EXCEEDED: "Dead letter",
};
