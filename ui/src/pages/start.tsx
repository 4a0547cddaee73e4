/** Start a run: now, later, or on a schedule. */

import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Braces, CalendarClock, Clock, History, Play, Terminal } from "lucide-react";
import { useEffect, useState } from "react";
import { apiPath } from "@/api/base-path";
import { get, part, post, Problem } from "@/api/client";
import { stringify } from "@/api/exact-json";
import { useCan } from "@/api/session";
import type { Page, Queue, Registered, RegisteredDetail, Schedule, ScheduleSpec } from "@/api/types";
import { InputFields, type InputState, newInput, readInput } from "@/components/input-fields";
import { newWhen, ScheduleFields, specOf, type When } from "@/components/schedule-fields";
import { Empty, Loaded } from "@/components/states";
import { problemText, showToast } from "@/components/toast";
import { Button, copy, Field, Input, Notice, Segments, Select } from "@/components/ui";
import type { ValidationError } from "@/lib/schema";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

const copiedMessages = { curl: "curl command copied", python: "Python code copied" };
const submitLabels = { now: "Start run", later: "Schedule run", cron: "Create schedule" };

type Moment = "now" | "later" | "cron";

export function StartPage() {
  useTitle("Start a run");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const may = useCan("operator");
  const registered = useQuery({ queryKey: ["registered"], queryFn: ({ signal }) => get<Page<Registered>>("registered", { limit: 500 }, signal) });
  return (
    <>
      <PageHead title="Start a run" />
      <div className="min-h-0 flex-1 overflow-y-auto">
        <Loaded query={registered}>
          {(page) => {
            const open = page.items.filter((item) => item.triggerable);
            if (!may) return <Empty title="Your role cannot start runs" />;
            if (open.length === 0) {
              return (
                <Empty icon={<Play />} title="No workflows can be started here">
                  Make a workflow startable: <code>@turbine.workflow(triggerable=True)</code>
                </Empty>
              );
            }
            const name = typeof search.workflow === "string" ? search.workflow : undefined;
            const chosen = open.find((item) => item.name === name) ?? (open.length === 1 ? open[0] : undefined);
            return (
              <div className="mx-auto grid max-w-5xl grid-cols-[240px_minmax(0,1fr)] gap-8 p-6 max-md:grid-cols-1 max-md:gap-4 max-md:p-4">
                <nav aria-label="Workflow" className="flex flex-col gap-0.5 max-md:hidden">
                  <div className="px-2 pb-1 text-xs font-medium text-faint">Workflow</div>
                  {open.map((item) => (
                    <button
                      key={item.name}
                      type="button"
                      aria-pressed={item.name === chosen?.name}
                      onClick={() => void navigate({ to: "/start", search: { workflow: item.name }, replace: true })}
                      className={`truncate rounded-md px-2 py-1 text-left ${item.name === chosen?.name ? "bg-selected font-medium" : "text-muted hover:bg-hover hover:text-text"}`}
                    >
                      {item.name}
                    </button>
                  ))}
                </nav>
                <div className="md:hidden">
                  <Field label="Workflow">
                    {(wires) => (
                      <Select {...wires} value={chosen?.name ?? ""} onChange={(event) => void navigate({ to: "/start", search: { workflow: event.target.value }, replace: true })}>
                        <option value="">Choose a workflow</option>
                        {open.map((item) => (
                          <option key={item.name}>{item.name}</option>
                        ))}
                      </Select>
                    )}
                  </Field>
                </div>
                {chosen ? <StartForm key={chosen.name} workflow={chosen} moment={typeof search.when === "string" && ["later", "cron"].includes(search.when) ? (search.when as Moment) : "now"} /> : <Empty icon={<Play />} title="Choose a workflow">The form for its input appears here.</Empty>}
              </div>
            );
          }}
        </Loaded>
      </div>
    </>
  );
}

function StartForm({ workflow, moment: given }: { workflow: Registered; moment: Moment }) {
  const navigate = useNavigate();
  const schema = workflow.input_schema;
  const [input, setInput] = useState<InputState>(() => newInput(schema));
  const [errors, setErrors] = useState<ValidationError[]>([]);
  const [error, setError] = useState<string | null>(null);
  const [moment, setMoment] = useState<Moment>(given);
  const [when, setWhen] = useState<When>(() => newWhen("cron"));
  const [name, setName] = useState("");
  const [id, setId] = useState("");
  const [queue, setQueue] = useState("");
  const [delay, setDelay] = useState("");
  const [tags, setTags] = useState("");
  const [priority, setPriority] = useState("");
  const [more, setMore] = useState(false);
  const detail = useQuery({ queryKey: ["registered", workflow.name], queryFn: ({ signal }) => get<RegisteredDetail>(`registered/${part(workflow.name)}`, undefined, signal), refetchInterval: false }).data;
  const queues = useQuery({ queryKey: ["queues"], queryFn: ({ signal }) => get<Page<Queue>>("queues", { limit: 500 }, signal) }).data?.items ?? [];

  const body = (value: unknown) => ({
    name: workflow.name,
    input: value,
    ...(id && { id }),
    ...(queue && { queue }),
    ...(delay && { delay: Number(delay) }),
    ...(priority && { priority: Number(priority) }),
    ...(tags && { tags: tags.split(",").map((tag) => tag.trim()).filter(Boolean) }),
  });
  const spec = () => specOf({ ...when, type: moment === "later" ? "once" : "cron" });
  const planned = (value: unknown) => ({ workflow: workflow.name, schedule: spec(), input: value, name: name || null, enabled: true });
  const act = useMutation({
    mutationFn: async (value: unknown) => {
      if (moment === "now") return { run: (await post<{ workflow_id: string }>("trigger", body(value))).workflow_id };
      return { schedule: (await post<Schedule>("schedules", planned(value))).id };
    },
    onSuccess: (made) => {
      if (made.run) {
        showToast("Run started", made.run);
        void navigate({ to: "/runs/$id", params: { id: made.run } });
      } else {
        showToast("Schedule created");
        void navigate({ to: "/schedules/$id", params: { id: made.schedule! } });
      }
    },
    onError: (problem) => {
      if (problem instanceof Problem && problem.errors.length > 0) setErrors(problem.errors.map((error) => ({ path: error.path.filter((key, index) => !(index === 0 && key === "input")), message: error.message })));
      else setError(null);
    },
  });
  const read = () => {
    const answer = readInput(input, schema);
    setErrors(answer.errors);
    setError(answer.error);
    return answer.errors.length === 0 && answer.error === null ? answer : null;
  };
  const go = () => {
    const answer = read();
    if (answer) act.mutate(answer.value);
  };
  // Scroll to the first invalid field.
  useEffect(() => {
    if (errors.length > 0) document.querySelector("[aria-invalid=true]")?.scrollIntoView({ block: "center" });
  }, [errors]);
  const curlOf = (value: unknown) => (moment === "now" ? asCurl("trigger", body(value)) : asCurl("schedules", planned(value)));
  const pythonFor = (value: unknown) => (moment === "now" ? asPython(workflow, value, { id, queue, delay, tags, priority }) : asPlan(workflow, spec(), value, name));
  const copyAs = (which: "curl" | "python") => {
    const answer = read();
    if (!answer) return;
    void copy(which === "curl" ? curlOf(answer.value) : pythonFor(answer.value)).then(() => showToast(copiedMessages[which]));
  };
  const hasLast = detail?.last_input !== undefined && detail.last_input !== null;
  return (
    <form
      className="flex min-w-0 flex-col gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        go();
      }}
    >
      <div>
        <div className="flex flex-wrap items-center gap-2">
          <h2 className="text-lg font-semibold">{workflow.name}</h2>
          {workflow.tags.map((tag) => (
            <span key={tag} className="rounded-sm bg-sunken px-1.5 text-xs leading-5 text-muted hairline">
              {tag}
            </span>
          ))}
        </div>
        {workflow.docstring && <p className="mt-1 max-w-prose whitespace-pre-line text-muted">{workflow.docstring.split("\n\n")[0]}</p>}
        {!workflow.here && <div className="mt-2"><Notice tone="warn">This server does not run this workflow. Choose a queue from which another process takes it.</Notice></div>}
      </div>
      <div className="flex flex-col items-stretch gap-3">
        <Segments
          label="When"
          value={moment}
          onChange={setMoment}
          options={[
            { key: "now", label: <><Play /> Now</> },
            { key: "later", label: <><Clock /> Later</> },
            { key: "cron", label: <><CalendarClock /> On a schedule</> },
          ]}
        />
        {moment !== "now" && (
          <div className="flex flex-col gap-3 rounded-lg p-3 hairline">
            <ScheduleFields when={{ ...when, type: moment === "later" ? "once" : "cron" }} onChange={setWhen} only={moment === "later" ? "once" : "cron"} />
            <Field label="Name" hint="Used in the run IDs. Leave empty to use the schedule ID.">
              {(wires) => <Input {...wires} value={name} onChange={(event) => setName(event.target.value)} />}
            </Field>
          </div>
        )}
      </div>
      <div>
        <InputFields schema={schema} state={input} onChange={setInput} errors={errors} error={error} />
        {hasLast && (
          <Button size="sm" tone="ghost" icon={<History />} className="mt-2 -ml-2" onClick={() => setInput({ ...newInput(schema, detail.last_input), mode: input.mode })}>
            Use last input
          </Button>
        )}
      </div>
      {moment === "now" && (
        <div>
          <button type="button" aria-expanded={more} className="text-muted hover:text-text" onClick={() => setMore(!more)}>
            {more ? "Fewer options" : "More options"}
          </button>
          {more && (
            <div className="mt-3 grid grid-cols-2 gap-3 max-md:grid-cols-1">
              <Field label="Run ID" hint="Starting again with the same ID returns the existing run.">{(wires) => <Input {...wires} value={id} onChange={(event) => setId(event.target.value)} className="font-mono !text-xs" />}</Field>
              <Field label="Tags" hint="Separate with commas.">{(wires) => <Input {...wires} value={tags} onChange={(event) => setTags(event.target.value)} />}</Field>
              <Field label="Queue">
                {(wires) => (
                  <Select {...wires} value={queue} onChange={(event) => setQueue(event.target.value)}>
                    <option value="">None: start immediately</option>
                    {queues.map((queue) => (
                      <option key={queue.name}>{queue.name}</option>
                    ))}
                  </Select>
                )}
              </Field>
              <div className="grid grid-cols-2 gap-3">
                <Field label="Priority">{(wires) => <Input {...wires} inputMode="numeric" pattern="\d*" value={priority} onChange={(event) => setPriority(event.target.value)} />}</Field>
                <Field label="Delay (s)">{(wires) => <Input {...wires} inputMode="decimal" pattern="\d*(\.\d+)?" value={delay} onChange={(event) => setDelay(event.target.value)} />}</Field>
              </div>
            </div>
          )}
        </div>
      )}
      {act.error && (
        <Notice tone="bad">
          {problemText(act.error)}
          {act.error instanceof Problem && act.error.errors.length > 0 && (
            <ul className="mt-1 list-disc pl-4">
              {act.error.errors.map((error, index) => (
                <li key={index}>
                  <span className="font-mono text-xs">{error.path.join(".") || "input"}</span>: {error.message}
                </li>
              ))}
            </ul>
          )}
        </Notice>
      )}
      <div className="flex flex-wrap items-center gap-2 border-t pt-4">
        <Button type="submit" tone="primary" busy={act.isPending} icon={moment === "now" ? <Play /> : <CalendarClock />}>
          {submitLabels[moment]}
        </Button>
        <span className="flex-1" />
        <Button tone="ghost" icon={<Terminal />} onClick={() => copyAs("curl")}>
          Copy as curl
        </Button>
        <Button tone="ghost" icon={<Braces />} onClick={() => copyAs("python")}>
          Copy as Python
        </Button>
      </div>
    </form>
  );
}

function asCurl(path: string, body: unknown): string {
  const text = stringify(body).replaceAll("'", "'\\''");
  return `curl -X POST '${window.location.origin}${apiPath}${path}' \\\n  -H "Authorization: Bearer $TURBINE_TOKEN" \\\n  -H 'Content-Type: application/json' \\\n  -d '${text}'`;
}

function asPython(workflow: Registered, input: unknown, options: { id: string; queue: string; delay: string; tags: string; priority: string }): string {
  const given = [
    options.id && `id=${JSON.stringify(options.id)}`,
    options.queue && `queue=${JSON.stringify(options.queue)}`,
    options.priority && `priority=${options.priority}`,
    options.delay && `delay=${options.delay}`,
    options.tags && `tags=${pythonOf(options.tags.split(",").map((tag) => tag.trim()).filter(Boolean))}`,
  ].filter(Boolean);
  if (given.length === 0) return `await rt.trigger(${JSON.stringify(workflow.name)}, ${pythonOf(input)})`;
  const module = workflow.fqn.split(":")[0];
  const words = input !== null && typeof input === "object" && !Array.isArray(input) ? `**${pythonOf(input)}` : pythonOf(input);
  return `from ${module} import ${workflow.fqn.split(":")[1] ?? workflow.name}\n\nawait rt.run(${workflow.fqn.split(":")[1] ?? workflow.name}.options(${given.join(", ")}), ${words})`;
}

function asPlan(workflow: Registered, spec: ScheduleSpec, input: unknown, name: string): string {
  const words = (given: Record<string, unknown>) => Object.entries(given).filter(([, value]) => value !== undefined && value !== null && value !== "").map(([key, value]) => `, ${key}=${pythonOf(value)}`).join("");
  const when =
    spec.type === "once"
      ? `Schedule.once(datetime.fromisoformat(${JSON.stringify(spec.at?.replace("Z", "+00:00"))}))`
      : `Schedule.cron(${JSON.stringify(spec.expression)}${words({ timezone: spec.timezone, jitter: spec.jitter, catch_up: spec.catch_up, overlap: spec.overlap })})`;
  const imports = spec.type === "once" ? "from datetime import datetime\n\nfrom turbine import Schedule" : "from turbine import Schedule";
  return `${imports}\n\nawait rt.schedules.create(${JSON.stringify(workflow.name)}, ${when}${words({ input, name })})`;
}

/** A JSON value as a Python literal. */
export function pythonOf(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(", ")}]`;
  if (typeof value === "object" && value.constructor === Object) return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${pythonOf(item)}`).join(", ")}}`;
  return stringify(value);
}
