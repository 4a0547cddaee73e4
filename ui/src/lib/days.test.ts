import { expect, test } from "vitest";
import { midnights, spans } from "./days";
import { hour } from "./time";

test("a day with another number of hours is a span of its own", () => {
  const edges = [0, 24, 48, 73, 97, 121].map((at) => at * hour);
  expect(spans(edges)).toEqual([
    { from: 0, to: 48 * hour, size: 1440 },
    { from: 48 * hour, to: 73 * hour, size: 1500 },
    { from: 73 * hour, to: 121 * hour, size: 1440 },
  ]);
});

test("days begin at midnight, whatever the zone does", () => {
  const edges = midnights(new Date(2026, 10, 23, 15), -200, 300);
  expect(edges).toHaveLength(301);
  expect(new Set(edges.map((at) => new Date(at).getHours()))).toEqual(new Set([0]));
  expect(new Date(edges[200]!)).toEqual(new Date(2026, 10, 23));
});
