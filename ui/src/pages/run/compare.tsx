/** Compares two runs: input, steps by position, result. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronRight, Equal, EqualNot } from "lucide-react";
import { useMemo, useState } from "react";
import { stringify } from "@/api/exact-json";
import type { Run, Step } from "@/api/types";
import { differences, JsonView } from "@/components/json";
import { Empty, SkeletonRows } from "@/components/states";
import { StatusBadge } from "@/components/status";
import { Ago, Button, Input, Switch } from "@/components/ui";
import { classes, plural } from "@/lib/format";
import { usePhone } from "@/lib/media-query";
import { duration, seconds } from "@/lib/time";
import { stepName } from "./layout";
import { runQuery, stepsQuery } from "./queries";
import { StepIcon } from "./timeline";

const comparisonLabels = { same: "same", differs: "differs", onlyOne: "only in one", otherStep: "different step", unknown: "not compared" };

interface Side {
  step: Step | null;
  /** The compared value: the result or the error text. */
  value: unknown;
  error: string | null;
  isLarge: boolean;
  isUnderWay: boolean;
  took: number | null;
}

type Comparison = "same" | "differs" | "onlyOne" | "otherStep" | "unknown";

interface Line {
  key: string;
  position: string | null;
  name: string;
  left: Side | null;
  right: Side | null;
  comparison: Comparison;
}

const sideOf = (step: Step | undefined): Side | null =>
  step
    ? {
        step,
        value: step.error ?? step.output ?? null,
        error: step.error,
        isLarge: step.output_truncated ?? false,
        isUnderWay: step.ended_at === null,
        took: step.ended_at === null ? null : Date.parse(step.ended_at) - Date.parse(step.started_at),
      }
    : null;

const plainSide = (value: unknown, isLarge: boolean | undefined, error: string | null = null): Side => ({ step: null, value: error ?? value ?? null, error, isLarge: isLarge ?? false, isUnderWay: false, took: null });

function compareSides(left: Side | null, right: Side | null): Comparison {
  if (!left || !right) return "onlyOne";
  if (left.step && right.step && left.step.function_name !== right.step.function_name) return "otherStep";
  if (left.error !== right.error || left.isUnderWay !== right.isUnderWay) return "differs";
  if (left.isLarge || right.isLarge) return left.isLarge && right.isLarge ? "unknown" : "differs";
  return stringify(left.value) === stringify(right.value) ? "same" : "differs";
}

function lines(left: Run, right: Run, leftSteps: Step[], rightSteps: Step[]): Line[] {
  const at = (steps: Step[]) => new Map(steps.map((step) => [step.position, step]));
  const [before, after] = [at(leftSteps), at(rightSteps)];
  const positions = [...new Set([...before.keys(), ...after.keys()])].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const lineOf = (key: string, name: string, a: Side, b: Side): Line => ({ key, position: null, name, left: a, right: b, comparison: compareSides(a, b) });
  return [
    lineOf("input", "Input", plainSide(left.input, left.input_truncated), plainSide(right.input, right.input_truncated)),
    ...positions.map((position): Line => {
      const [a, b] = [sideOf(before.get(position)), sideOf(after.get(position))];
      return { key: position, position, name: stepName((before.get(position) ?? after.get(position))!.function_name), left: a, right: b, comparison: compareSides(a, b) };
    }),
    lineOf("output", "Result of the run", plainSide(left.output, left.output_truncated, left.error), plainSide(right.output, right.output_truncated, right.error)),
  ];
}

export function Compare({ run, steps, other, onOther }: { run: Run; steps: Step[]; other: string; onOther: (id: string) => void }) {
  const isPhone = usePhone();
  const [open, setOpen] = useState<Set<string>>(new Set());
  const [onlyOther, setOnlyOther] = useState(false);
  const [choosing, setChoosing] = useState(false);
  const twin = useQuery({ ...runQuery(other), enabled: other !== "" });
  const theirs = useQuery({ ...stepsQuery(other, twin.data?.status), enabled: other !== "" });
  // The older run on the left: a fork next to its original.
  const isLeft = twin.data !== undefined && twin.data.forked_from === run.workflow_id;
  const all = useMemo(() => {
    if (!twin.data || !theirs.data) return null;
    return isLeft ? lines(run, twin.data, steps, theirs.data) : lines(twin.data, run, theirs.data, steps);
  }, [run, twin.data, steps, theirs.data, isLeft]);
  const differing = all?.filter((line) => line.comparison !== "same").length ?? 0;
  const toggle = (key: string) => {
    const after = new Set(open);
    if (!after.delete(key)) after.add(key);
    setOpen(after);
  };
  if (other === "" || twin.error || choosing) {
    const choose = (id: string) => {
      setChoosing(false);
      onOther(id);
    };
    return <Choose other={other} failed={twin.error !== null && other !== ""} onOther={choose} />;
  }
  if (!all || !twin.data) return <SkeletonRows />;
  const [left, right] = isLeft ? [run, twin.data] : [twin.data, run];
  const columns = isPhone ? "grid-cols-[minmax(0,1fr)_minmax(0,1fr)]" : "grid-cols-[minmax(150px,240px)_minmax(0,1fr)_minmax(0,1fr)_92px]";
  const shown = onlyOther ? all.filter((line) => line.comparison !== "same") : all;
  return (
    <div className="flex min-w-0 flex-col">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b px-4 py-2.5">
        <span className={differing ? "font-medium text-warn" : "text-muted"}>{differing === 0 ? "No differences" : plural(differing, "difference")}</span>
        <span className="text-muted">{all[0]!.comparison === "same" ? "same input" : "different input"}</span>
        <span className="flex-1" />
        <span className="flex items-center gap-2 text-xs text-muted">
          <Switch label="Differences only" checked={onlyOther} onCheckedChange={setOnlyOther} /> Differences only
        </span>
        <Button size="sm" onClick={() => setChoosing(true)}>
          Another run
        </Button>
      </div>
      <div role="table" aria-label="Step comparison">
        <div role="row" className={classes("sticky top-0 z-10 grid gap-x-4 border-b bg-bg px-4 py-2", columns)}>
          {!isPhone && <div role="columnheader" className="self-end text-xs font-medium text-faint">Step</div>}
          <Whole run={left} role={left === run ? "This run" : right.forked_from === left.workflow_id ? "Original" : "Other run"} isThis={left === run} />
          <Whole run={right} role={right === run ? "This run" : right.forked_from === left.workflow_id ? "Fork" : "Other run"} isThis={right === run} />
          {!isPhone && <div role="columnheader" className="self-end text-xs font-medium text-faint">Outcome</div>}
        </div>
        {shown.map((line) => (
          <div key={line.key} role="rowgroup" className={classes("border-b", line.comparison !== "same" && line.comparison !== "unknown" && "bg-warn-soft/40")}>
            <div role="row" className={classes("grid cursor-default items-center gap-x-4 px-4 py-1.5 hover:bg-hover", columns)} onClick={() => toggle(line.key)}>
              <div role="cell" className={classes("flex min-w-0 items-center gap-1.5", isPhone && "col-span-2")}>
                <button
                  type="button"
                  aria-expanded={open.has(line.key)}
                  className="flex min-w-0 items-center gap-1.5"
                  onClick={(event) => {
                    event.stopPropagation();
                    toggle(line.key);
                  }}
                >
                  <ChevronRight className={classes("size-3.5 shrink-0 text-faint transition-transform", open.has(line.key) && "rotate-90")} />
                  {line.left?.step || line.right?.step ? <StepIcon step={(line.left?.step ?? line.right?.step)!} /> : null}
                  <span className={classes("truncate", line.position === null && "font-medium")}>{line.name}</span>
                </button>
                {line.position !== null && <span className="font-mono text-2xs text-faint">{line.position}</span>}
                {isPhone && <span className="ml-auto"><Mark comparison={line.comparison} /></span>}
              </div>
              <Brief side={line.left} />
              <Brief side={line.right} />
              {!isPhone && (
                <div role="cell">
                  <Mark comparison={line.comparison} />
                </div>
              )}
            </div>
            {open.has(line.key) && (
              <div role="row">
                <div role="cell" aria-colspan={isPhone ? 2 : 4}>
                  <Both line={line} />
                </div>
              </div>
            )}
          </div>
        ))}
        {shown.length === 0 && <Empty title="No differences" />}
      </div>
    </div>
  );
}

function Choose({ other, failed, onOther }: { other: string; failed: boolean; onOther: (id: string) => void }) {
  const [text, setText] = useState(other);
  return (
    <Empty title={failed ? "Could not load the other run" : "Compare with another run"}>
      <form
        className="mt-2 flex w-96 max-w-full gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim()) onOther(text.trim());
        }}
      >
        <Input aria-label="ID of the other run" placeholder="ID of the other run" value={text} onChange={(event) => setText(event.target.value)} className="font-mono !text-xs" autoFocus />
        <Button type="submit" tone="primary" disabled={!text.trim()}>
          Compare
        </Button>
      </form>
    </Empty>
  );
}

function Whole({ run, role, isThis }: { run: Run; role: string; isThis: boolean }) {
  return (
    <div role="columnheader" className="min-w-0">
      <div className="flex items-center gap-2">
        <StatusBadge status={run.status} />
        <span className="truncate text-xs text-muted">{role}</span>
      </div>
      <div className="mt-1 flex min-w-0 items-baseline gap-2 text-xs font-normal">
        {isThis ? (
          <span className="truncate font-mono">{run.workflow_id}</span>
        ) : (
          <Link to="/runs/$id" params={{ id: run.workflow_id }} className="truncate font-mono text-accent hover:underline">
            {run.workflow_id}
          </Link>
        )}
        <span className="shrink-0 text-faint max-md:hidden">
          {run.duration !== null && `${seconds(run.duration)} · `}
          <Ago at={run.created_at} />
        </span>
      </div>
    </div>
  );
}

function Brief({ side }: { side: Side | null }) {
  if (!side) return <div role="cell" className="text-faint">–</div>;
  return (
    <div role="cell" className="flex min-w-0 items-baseline gap-2">
      <span className={classes("min-w-0 flex-1 truncate font-mono text-xs", side.error ? "text-bad" : "text-muted")}>
        {side.isUnderWay ? <span className="font-sans text-info">running</span> : side.isLarge ? <span className="font-sans text-faint">large value</span> : (side.error ?? stringify(side.value).slice(0, 200))}
      </span>
      {side.took !== null && <span className="shrink-0 text-2xs text-faint max-md:hidden">{duration(side.took)}</span>}
    </div>
  );
}

function Mark({ comparison }: { comparison: Comparison }) {
  if (comparison === "same") {
    return (
      <span className="flex items-center gap-1 text-xs text-faint">
        <Equal className="size-3.5" /> same
      </span>
    );
  }
  return (
    <span className={classes("flex items-center gap-1 text-xs font-medium whitespace-nowrap", comparison === "unknown" ? "text-muted" : "text-warn")}>
      {comparison !== "unknown" && <EqualNot className="size-3.5" />} {comparisonLabels[comparison]}
    </span>
  );
}

function Both({ line }: { line: Line }) {
  const marks = useMemo(() => (line.left && line.right && line.comparison === "differs" && !line.left.error && !line.right.error ? differences(line.left.value, line.right.value) : undefined), [line]);
  return (
    <div className="grid grid-cols-1 gap-3 px-4 pt-1 pb-3 md:grid-cols-2">
      {([["left", line.left], ["right", line.right]] as const).map(([key, side]) =>
        side === null ? (
          <div key={key} className="rounded-md bg-sunken px-3 py-2 text-faint hairline">No such step in this run.</div>
        ) : side.error ? (
          <div key={key} className="rounded-md bg-bad-soft px-3 py-2 break-words whitespace-pre-wrap text-bad">{side.error}</div>
        ) : side.isLarge ? (
          <div key={key} className="rounded-md bg-sunken px-3 py-2 text-muted hairline">Too large to compare. Open the step to see it.</div>
        ) : (
          <JsonView key={key} label={side.step && line.comparison === "otherStep" ? stepName(side.step.function_name) : line.name} value={side.value} marks={marks} />
        ),
      )}
    </div>
  );
}
