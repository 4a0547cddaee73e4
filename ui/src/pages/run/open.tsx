/** Read-only view of an exported run. The file stays in this browser. */

import { FileJson, FileUp, X } from "lucide-react";
import { type DragEvent, type ReactNode, useRef, useState } from "react";
import { JsonView } from "@/components/json";
import { Markdown } from "@/components/markdown";
import { Empty } from "@/components/states";
import { StatusBadge } from "@/components/status";
import { Ago, Button, Copyable, IconButton, Notice, Sheet } from "@/components/ui";
import { bytes, classes } from "@/lib/format";
import { usePhone, useWide } from "@/lib/media-query";
import { absolute, clockMs, duration, seconds } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { simple } from "./arguments";
import { type ExportedRun, readExport, type RecordedStep } from "./exported";
import { Failure } from "./inspector";
import { stepName } from "./layout";
import { StepIcon, Waterfall } from "./timeline";

interface Opened {
  packed: ExportedRun;
  name: string;
  size: number;
}

export function OpenPage() {
  const [opened, setOpened] = useState<Opened | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const [over, setOver] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useTitle(opened ? opened.packed.run.name : "Open an exported run");
  const take = async (file: File | undefined) => {
    if (!file) return;
    try {
      setOpened({ packed: readExport(await file.text()), name: file.name, size: file.size });
      setWrong(null);
    } catch (error) {
      setWrong(error instanceof Error ? error.message : String(error));
    }
  };
  const drop = {
    onDragOver: (event: DragEvent) => {
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (event: DragEvent) => {
      event.preventDefault();
      setOver(false);
      void take(event.dataTransfer.files[0]);
    },
  };
  const choose = (
    <>
      <input
        ref={field}
        type="file"
        accept=".json,application/json"
        aria-label="Exported run"
        className="sr-only"
        tabIndex={-1}
        onChange={(event) => {
          void take(event.target.files?.[0]);
          event.target.value = "";
        }}
      />
      <Button tone={opened ? "plain" : "primary"} icon={<FileUp />} onClick={() => field.current?.click()}>
        {opened ? "Choose another file" : "Choose file"}
      </Button>
    </>
  );
  return (
    <div className={classes("flex min-h-0 flex-1 flex-col", over && "bg-accent/5 shadow-[inset_0_0_0_2px_var(--accent)]")} {...drop}>
      <PageHead title="Open an exported run" note={opened && `${opened.name} · ${bytes(opened.size)} · read-only`}>
        {opened && choose}
      </PageHead>
      {wrong && (
        <div className="px-4 pt-3" role="alert">
          <Notice tone="bad">{wrong}</Notice>
        </div>
      )}
      {opened ? (
        <Shown key={`${opened.name} ${opened.packed.run.workflow_id} ${opened.packed.exportedAt}`} packed={opened.packed} />
      ) : (
        <Empty icon={<FileJson />} title="Open a run from a file" action={choose}>
          Choose a file saved with “Download as file”, or drop it here. It is not uploaded.
        </Empty>
      )}
    </div>
  );
}

function Shown({ packed }: { packed: ExportedRun }) {
  const { run, steps } = packed;
  const isWide = useWide();
  const isPhone = usePhone();
  const [selected, setSelected] = useState<string | null>(null);
  const step = steps.find((step) => step.position === selected) ?? null;
  const facts = (
    <>
      <Facts packed={packed} />
      <JsonView label="Input" value={simple(run.input)} openTo={3} />
      {run.status === "SUCCESS" && <JsonView label="Result" value={run.output ?? null} openTo={3} />}
    </>
  );
  return (
    <div className="flex min-h-0 flex-1" data-testid="exported-run">
      <div className="flex min-h-0 min-w-0 flex-1 flex-col overflow-y-auto" tabIndex={-1}>
        <header className="px-4 py-3">
          <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1.5">
            <h2 className="min-w-0 text-xl font-semibold break-words">{run.name}</h2>
            <StatusBadge status={run.status} />
          </div>
          <div className="mt-0.5 flex flex-wrap items-center gap-x-3 text-muted">
            {run.summary && <Markdown text={run.summary} className="min-w-0 break-words text-text" />}
            <Copyable text={run.workflow_id} label="Copy run ID" className="font-mono text-xs">
              {run.workflow_id}
            </Copyable>
          </div>
        </header>
        {run.error && (
          <div className="mx-4 mb-3">
            <Failure error={run.error} traceback={[...steps].reverse().find((step) => step.error === run.error)?.traceback ?? null} />
          </div>
        )}
        {packed.waits.length > 0 && (
          <ul aria-label="Was waiting for" className="mx-4 mb-3 rounded-lg bg-sunken px-3 py-2 text-muted hairline">
            {packed.waits.map((wait) => (
              <li key={wait.position}>{`Waiting at step ${wait.position}: ${wait.kind}${wait.subject ? ` ${wait.subject}` : ""}`}</li>
            ))}
          </ul>
        )}
        <div className="border-t">
          {steps.length === 0 ? <Empty title="No steps yet">The run ended before recording a step.</Empty> : <Waterfall run={run} steps={steps} selected={selected} onSelect={setSelected} until={packed.exportedAt} />}
        </div>
        {!isWide && <div className="flex flex-col gap-4 border-t p-4">{facts}</div>}
      </div>
      {isWide ? (
        <aside aria-label={step ? "Step" : "Details"} className="flex w-[372px] shrink-0 flex-col border-l">
          {step ? (
            <ExportedStep key={step.position} step={step} onClose={() => setSelected(null)} />
          ) : (
            <div className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto p-4" tabIndex={0} role="region" aria-label="Details">
              {facts}
            </div>
          )}
        </aside>
      ) : (
        <Sheet open={step !== null} onClose={() => setSelected(null)} title="Step">
          {step && <ExportedStep step={step} onClose={isPhone ? undefined : () => setSelected(null)} />}
        </Sheet>
      )}
    </div>
  );
}

function Rows({ rows, label }: { rows: [string, ReactNode][]; label?: string }) {
  return (
    <dl className="grid grid-cols-[88px_minmax(0,1fr)] gap-y-1.5" aria-label={label}>
      {rows.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-faint">{name}</dt>
          <dd className="min-w-0 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const when = (at: string) => <span title={absolute(Date.parse(at))}>{absolute(Date.parse(at)).split(" · ")[0]}</span>;

function Facts({ packed: { run, exportedAt } }: { packed: ExportedRun }) {
  const rows: [string, ReactNode][] = [["Created", when(run.created_at)]];
  if (run.started_at) rows.push(["Started", when(run.started_at)]);
  if (run.completed_at) rows.push(["Ended", when(run.completed_at)]);
  if (run.duration !== null) rows.push(["Duration", seconds(run.duration)]);
  rows.push(["Attempts", String(run.attempts)]);
  if (run.application_version) rows.push(["Version", <span className="font-mono text-xs leading-5">{run.application_version}</span>]);
  rows.push(["Exported", <Ago at={exportedAt} />]);
  return <Rows rows={rows} />;
}

function ExportedStep({ step, onClose }: { step: RecordedStep; onClose?: () => void }) {
  const rows: [string, ReactNode][] = [
    ["State", <span className={step.error ? "text-bad" : ""}>{step.error ? "Failed" : step.ended_at ? "Done" : "Not finished"}{step.ended_at && ` · ${duration(Date.parse(step.ended_at) - Date.parse(step.started_at))}`}</span>],
    ["Position", <span className="font-mono text-xs leading-5">{step.position}</span>],
    ["Started", <span title={absolute(Date.parse(step.started_at))}>{clockMs(Date.parse(step.started_at))}</span>],
  ];
  if (step.ended_at) rows.push(["Ended", <span title={absolute(Date.parse(step.ended_at))}>{clockMs(Date.parse(step.ended_at))}</span>]);
  if (step.child_workflow_id) rows.push(["Child run", <span className="font-mono text-xs leading-5">{step.child_workflow_id}</span>]);
  return (
    <div className="flex min-h-0 flex-1 flex-col" data-testid="inspector">
      <div className="flex h-11 shrink-0 items-center gap-2 border-b pr-2 pl-4">
        <StepIcon step={step} />
        <h3 className="min-w-0 flex-1 truncate font-semibold">{stepName(step.function_name)}</h3>
        {onClose && (
          <IconButton label="Close step" size="sm" onClick={onClose}>
            <X />
          </IconButton>
        )}
      </div>
      <div className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto p-4" tabIndex={0} role="region" aria-label={stepName(step.function_name)}>
        <Rows rows={rows} />
        {step.error && <Failure error={step.error} traceback={step.traceback} />}
        {step.attempts.map((attempt) => (
          <Failure key={attempt.number} error={attempt.error ?? ""} traceback={attempt.traceback} />
        ))}
        {step.ended_at && !step.error && <JsonView label="Result" value={step.output ?? null} />}
      </div>
    </div>
  );
}
