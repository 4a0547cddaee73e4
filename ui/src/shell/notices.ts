import { useEffect, useRef } from "react";
import type { Approval } from "@/api/types";

/** Tells the system about approvals that come in while nobody looks, once somebody has allowed it. */
export function useNotices(gates: Approval[] | undefined): void {
  const known = useRef<Set<string> | null>(null);
  useEffect(() => {
    if (!gates) return;
    const before = known.current;
    known.current = new Set(gates.map((gate) => gate.id));
    if (!before || !document.hidden || !("Notification" in window) || Notification.permission !== "granted") return;
    for (const gate of gates) if (!before.has(gate.id)) new Notification(gate.title ?? gate.name, { body: gate.summary ?? gate.workflow_id, tag: gate.id });
  }, [gates]);
}
