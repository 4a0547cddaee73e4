/** Loading, empty and error states. */

import type { ReactNode } from "react";
import { RefreshCw } from "lucide-react";
import { Problem } from "@/api/client";
import { problemText } from "./toast";
import { Button, Skeleton } from "./ui";

export function Empty({ icon, title, children, action }: { icon?: ReactNode; title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="mx-auto flex max-w-md flex-col items-center px-6 py-16 text-center">
      {icon && <div className="mb-3 text-faint [&_svg]:size-6 [&_svg]:stroke-[1.5]">{icon}</div>}
      <div className="text-base font-medium">{title}</div>
      {children && <div className="mt-1 text-muted [&_code]:rounded-sm [&_code]:bg-sunken [&_code]:px-1 [&_code]:text-xs">{children}</div>}
      {action && <div className="mt-4 flex gap-2">{action}</div>}
    </div>
  );
}

export function Failed({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const missing = error instanceof Problem && error.status === 404;
  const forbidden = error instanceof Problem && error.status === 403;
  return (
    <div role="alert" className="mx-auto flex max-w-md flex-col items-center px-6 py-16 text-center">
      <div className="text-base font-medium">{missing ? "Not found" : forbidden ? "You do not have access to this" : "Could not load this"}</div>
      <div className="mt-1 break-words text-muted">{problemText(error)}</div>
      {onRetry && !missing && !forbidden && (
        <Button className="mt-4" icon={<RefreshCw />} onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function SkeletonRows({ rows = 12, height = 36 }: { rows?: number; height?: number }) {
  return (
    <div role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className="flex items-center gap-6 border-b px-4" style={{ height }}>
          <Skeleton className="size-3.5 rounded-full" />
          <Skeleton className="h-3" />
          <div className="h-3 flex-1">
            <div className="animate-breathe h-3 rounded-sm bg-hover" style={{ width: `${30 + ((index * 37) % 45)}%` }} />
          </div>
          <Skeleton className="h-3 w-16" />
          <Skeleton className="h-3 w-12" />
        </div>
      ))}
    </div>
  );
}

/** Renders the data of a query, or its loading or error state. */
export function Loaded<T>({ query, skeleton, children }: { query: { data: T | undefined; error: unknown; isPending: boolean; refetch: () => unknown }; skeleton?: ReactNode; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <Failed error={query.error} onRetry={() => void query.refetch()} />;
  return <>{skeleton ?? <SkeletonRows />}</>;
}
