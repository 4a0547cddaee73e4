/** Toasts: results of actions and errors of the server. */

import { useSyncExternalStore } from "react";
import { Check, TriangleAlert, X } from "lucide-react";
import { Problem } from "@/api/client";
import { plural } from "@/lib/format";

interface Toast {
  id: number;
  tone: "ok" | "bad";
  text: string;
  detail?: string;
}

let shown: Toast[] = [];
let next = 1;
const watchers = new Set<() => void>();

function change(toasts: Toast[]): void {
  shown = toasts;
  for (const watcher of watchers) watcher();
}

function show(toast: Omit<Toast, "id">): void {
  const id = next++;
  change([...shown.slice(-3), { ...toast, id }]);
  window.setTimeout(() => dismiss(id), toast.tone === "ok" ? 4000 : 9000);
}

function dismiss(id: number): void {
  change(shown.filter((toast) => toast.id !== id));
}

export const showToast = (text: string, detail?: string) => show({ tone: "ok", text, detail });

export function showError(error: unknown, text?: string): void {
  show({ tone: "bad", text: text ?? "Something went wrong", detail: problemText(error) });
}

export function problemText(error: unknown): string {
  if (error instanceof Problem && error.status === 0) return "Cannot reach the server. Is it running?";
  if (error instanceof Problem && error.status === 429) return (error.retryAfter ? `Too many attempts. Try again in ${plural(error.retryAfter, "second")}.` : "Too many attempts. Try again later.");
  return error instanceof Error ? error.message : String(error);
}

export function Toasts() {
  const toasts = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => shown,
  );
  return (
    <div role="status" aria-live="polite" className="pointer-events-none fixed right-4 bottom-4 z-50 flex w-80 max-w-[calc(100vw-32px)] flex-col gap-2">
      {toasts.map((toast) => (
        <div key={toast.id} className="animate-rise pointer-events-auto flex items-start gap-2 rounded-lg bg-bg px-3 py-2.5 shadow-pop">
          {toast.tone === "ok" ? <Check className="mt-0.5 size-4 shrink-0 text-ok" /> : <TriangleAlert className="mt-0.5 size-4 shrink-0 text-bad" />}
          <div className="min-w-0 flex-1">
            <div className="font-medium">{toast.text}</div>
            {toast.detail && <div className="break-words text-muted">{toast.detail}</div>}
          </div>
          <button type="button" aria-label="Dismiss" className="rounded-sm p-0.5 text-faint hover:text-text" onClick={() => dismiss(toast.id)}>
            <X className="size-3.5" />
          </button>
        </div>
      ))}
    </div>
  );
}
