import { useNavigate, useSearch } from "@tanstack/react-router";
import { levelOf, LogView } from "@/components/log-view";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

export function LogsPage() {
  useTitle("Logs");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  return (
    <>
      <PageHead title="Logs" />
      <LogView
        live
        narrowing={{ level: levelOf(search.level), search: typeof search.q === "string" ? search.q : "" }}
        onNarrow={({ level, search: q }) => void navigate({ to: "/logs", search: { level: level === "DEBUG" ? undefined : level, q: q || undefined }, replace: true })}
      />
    </>
  );
}
