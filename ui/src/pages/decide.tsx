/** Decide an approval by a one-time link, without an account. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "@/api/client";
import { Problem } from "@/api/client";
import type { ApprovalByLink } from "@/api/types";
import { Decide, Due } from "@/components/approval";
import { Failed } from "@/components/states";
import { Skeleton } from "@/components/ui";
import { absolute, ms } from "@/lib/time";
import { useTitle } from "@/shell/title";
import { SignInCard } from "./login";

const closedTitles = { approved: "Already approved", rejected: "Already rejected", expired: "This decision has expired", cancelled: "This decision is no longer needed", open: "" };

/** Takes the token out of the address, so that it does not stay in the browser history. */
function takeToken(): string {
  const token = window.location.hash.slice(1);
  if (token) window.history.replaceState(window.history.state, "", window.location.pathname);
  return token;
}

export function DecidePage() {
  useTitle("Decision");
  const [token] = useState(takeToken);
  const [decided, setDecided] = useState<boolean | null>(null);
  const query = useQuery({
    queryKey: ["decide"],
    queryFn: () => post<ApprovalByLink>("decide/look", { token }),
    retry: false,
    refetchInterval: false,
    refetchOnWindowFocus: false,
    gcTime: 0,
  });
  if (decided !== null) return <SignInCard title={decided ? "Approved" : "Rejected"} note="Thank you. You can close this page." />;
  if (query.error instanceof Problem && query.error.status === 404) return <SignInCard title="This link is no longer valid" note="It was already used, has expired, or its creator can no longer decide. Ask for a new link." />;
  if (query.error) return <Failed error={query.error} onRetry={() => void query.refetch()} />;
  if (!query.data)
    return (
      <SignInCard title="Decision">
        <Skeleton className="h-24 w-full rounded-md" />
      </SignInCard>
    );
  const approval = query.data;
  if (approval.status !== "open") return <SignInCard title={closedTitles[approval.status]} note={approval.title} />;
  return (
    <SignInCard
      wide
      title={approval.title ?? `${approval.name} requests a decision`}
      note={
        <span className="flex flex-wrap gap-x-3">
          {approval.title && <span>{approval.name} requests a decision</span>}
          <Due at={approval.due_at} />
        </span>
      }
    >
      <Decide approval={approval} send={(decision) => post("decide", { token, ...decision })} onDecided={setDecided} />
      {approval.expires && (
        <p className="mt-4 border-t pt-3 text-xs text-faint">
          This link works once, until {absolute(ms(approval.expires)).split(" · ")[0]!}.
        </p>
      )}
    </SignInCard>
  );
}
