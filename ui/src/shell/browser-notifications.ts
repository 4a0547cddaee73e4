import { useEffect, useRef } from "react";
import type { Approval } from "@/api/types";

/** Shows a browser notification for new approvals while the page is hidden, if permitted. */
export function useApprovalNotifications(approvals: Approval[] | undefined): void {
  const seen = useRef<Set<string> | null>(null);
  useEffect(() => {
    if (!approvals) return;
    const before = seen.current;
    seen.current = new Set(approvals.map((approval) => approval.id));
    if (!before || !document.hidden || !("Notification" in window) || Notification.permission !== "granted") return;
    for (const approval of approvals) if (!before.has(approval.id)) new Notification(approval.title ?? approval.name, { body: approval.summary ?? approval.workflow_id, tag: approval.id });
  }, [approvals]);
}
