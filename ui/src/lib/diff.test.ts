import { expect, test } from "vitest";
import { asCsv } from "./csv";
import { sideBySide } from "./diff";

const sides = (before: string, after: string) => sideBySide([...before], [...after]).map((pair) => `${pair.before ?? "."}${pair.same ? "=" : "|"}${pair.after ?? "."}`);

test("lines that both have stand beside each other", () => {
  expect(sides("abcd", "abxd")).toEqual(["a=a", "b=b", "c|x", "d=d"]);
  expect(sides("abc", "c")).toEqual(["a|.", "b|.", "c=c"]);
  expect(sides("", "ab")).toEqual([".|a", ".|b"]);
  expect(sides("axbyc", "abc")).toEqual(["a=a", "x|.", "b=b", "y|.", "c=c"]);
  expect(sides("same", "same")).toEqual(["s=s", "a=a", "m=m", "e=e"]);
});

test("what a spreadsheet would run or split is made plain text", () => {
  expect(asCsv(["a", "b"], [["=1+1", 'say "no", twice'], [null, { n: 1 }], ["line\nbreak", -1]])).toBe('a,b\r\n\'=1+1,"say ""no"", twice"\r\n,"{""n"":1}"\r\n"line\nbreak",-1');
});
