import { describe, expect, it } from "vitest";
import type { Run, Step } from "@/api/types";
import { stepName, ticks, timeline } from "./layout";

const start = Date.parse("2026-03-27T03:00:00.000Z");
const iso = (offset: number) => new Date(start + offset).toISOString();

function run(more: Partial<Run> = {}): Run {
  return { workflow_id: "r", name: "w", status: "SUCCESS", created_at: iso(0), started_at: iso(0), completed_at: iso(1000), ...more } as Run;
}

function step(position: string, from: number, to: number | null, more: Partial<Step> = {}): Step {
  return { position, function_name: `step_${position}`, kind: "step", started_at: iso(from), ended_at: to === null ? null : iso(to), error: null, attempts: [], ...more } as Step;
}

describe("timeline", () => {
  it("spans the run without folds when nothing idles", () => {
    const line = timeline(run(), [step("0", 0, 400), step("1", 400, 1000)], start + 5000);
    expect(line.segments).toEqual([{ from: start, to: start + 1000, left: 0, width: 1, folded: false, why: "" }]);
    expect(line.place(start + 500)).toBeCloseTo(0.5);
  });

  it("folds a long sleep and says so", () => {
    const day = 86_400_000;
    const line = timeline(run({ completed_at: iso(day + 2000) }), [step("0", 0, 1000), step("1", 1000, day + 1000, { kind: "wait", function_name: "turbine.sleep" }), step("2", day + 1000, day + 2000)], start);
    const folds = line.segments.filter((segment) => segment.folded);
    expect(folds.map((fold) => fold.why)).toEqual(["sleep"]);
    expect(folds[0]!.to - folds[0]!.from).toBeGreaterThan(day * 0.9);
    expect(line.place(start + 1000)).toBeGreaterThan(0.3);
    expect(line.place(start + day + 2000)).toBeCloseTo(1);
  });

  it("ends a fold where one wait follows another", () => {
    const hour = 3_600_000;
    const steps = [step("0", 0, 100), step("1", 100, hour, { kind: "wait", function_name: "turbine.sleep" }), step("2", hour, 2 * hour, { kind: "wait", function_name: "turbine.wait_for_approval" }), step("3", 2 * hour, 2 * hour + 100)];
    const folds = timeline(run({ completed_at: iso(2 * hour + 100) }), steps, start).segments.filter((segment) => segment.folded);
    expect(folds.map((fold) => fold.why)).toEqual(["sleep", "wait_for_approval"]);
  });

  it("never places later times before earlier ones, and covers the whole width", () => {
    const steps = [step("0", 0, 10), step("1", 50_000, 50_100), step("2", 200_000, null)];
    const line = timeline(run({ status: "PENDING", completed_at: null }), steps, start + 900_000);
    let last = 0;
    for (let at = 0; at <= 900_000; at += 1777) {
      const place = line.place(start + at);
      expect(place).toBeGreaterThanOrEqual(last);
      last = place;
    }
    expect(line.segments.reduce((sum, segment) => sum + segment.width, 0)).toBeCloseTo(1);
  });

  it("shows each attempt and the pauses between them", () => {
    const attempts = [
      { number: 1, started_at: iso(0), ended_at: iso(100), error: "E: no", traceback: null, process: null },
      { number: 2, started_at: iso(300), ended_at: iso(400), error: null, traceback: null, process: null },
    ];
    const row = timeline(run(), [step("0", 0, 400, { attempts })], start).rows[1]!;
    expect(row.bars.map((bar) => bar.look)).toEqual(["bad", "waiting", "ok"]);
  });

  it("grows an open step to now, and shows the time in the queue", () => {
    const line = timeline(run({ status: "PENDING", started_at: iso(5000), completed_at: null }), [step("0", 5000, null)], start + 8000);
    expect(line.rows[0]!.bars.map((bar) => bar.look)).toEqual(["queued", "running"]);
    expect(line.rows[1]!.to).toBe(start + 8000);
  });

  it("marks round times about as often as asked", () => {
    const marks = ticks(timeline(run({ completed_at: iso(10_000) }), [step("0", 0, 10_000)], start), 6);
    expect(marks.map((mark) => mark.at)).toEqual([0, 2000, 4000, 6000, 8000, 10_000]);
  });

  it("survives a run without steps", () => {
    const line = timeline(run({ status: "ENQUEUED", started_at: null, completed_at: null }), [], start + 1);
    expect(line.rows).toHaveLength(1);
  });
});

describe("names of steps", () => {
  it("are those of Python", () => {
    expect(["turbine.sleep", "turbine.set_value", "turbine.wait_for_approval", "charge"].map(stepName)).toEqual(["sleep", "set_value", "wait_for_approval", "charge"]);
  });
});
