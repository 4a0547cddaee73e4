import { LogView } from "@/components/log-view";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { logText } from "@/text";

export function LogsPage() {
  useTitle(logText.title);
  return (
    <>
      <PageHead title={logText.title} />
      <LogView live />
    </>
  );
}
