import { describe, expect, it } from "vitest";
import { LosslessNumber, parse, parseTyped, stringify, toNumber } from "./exact-json";

describe("lossless JSON", () => {
  it("keeps integers that a double cannot hold", () => {
    const value = parse('{"wei":123456789012345678901234567890,"n":9007199254740993}') as Record<string, unknown>;
    expect(value.wei).toBeInstanceOf(LosslessNumber);
    expect(stringify(value)).toBe('{"wei":123456789012345678901234567890,"n":9007199254740993}');
  });

  it("leaves ordinary numbers ordinary", () => {
    expect(parse("[1, -2.5, 1e3, 9007199254740991, 0.30000000000000004]")).toEqual([1, -2.5, 1000, 9007199254740991, 0.30000000000000004]);
  });

  it("keeps decimals that are longer than a double, and exponents beyond it", () => {
    expect(stringify(parse("[0.1234567890123456789, 1e400]"))).toBe("[0.1234567890123456789,1e400]");
    expect(toNumber("1e400")).toBeInstanceOf(LosslessNumber);
    expect(toNumber("1.50")).toBe(1.5);
    expect(toNumber("123456789012345678.5")).toBeInstanceOf(LosslessNumber);
  });

  it("takes the last value of a key that comes twice, also beside a number that needs care", () => {
    expect(stringify(parse('{"a":1,"a":12345678901234567890}'))).toBe('{"a":12345678901234567890}');
  });

  it("reads texts and escapes like JSON.parse, beside a number that needs care", () => {
    const text = '{"a\\n\\u00e9":["\\"quoted\\"", true, false, null, {}, []],"__proto__":12345678901234567890}';
    const value = parse(text) as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["a\né", "__proto__"]);
    expect(value["a\né"]).toEqual(['"quoted"', true, false, null, {}, []]);
    expect({}).not.toHaveProperty("text");
  });

  it("refuses what is no JSON and says where", () => {
    for (const text of ["", "{", "[1,]", "{a:1}", "01", "1 2", '"\t"', "nul", "[1e999999999999999999,"]) expect(() => parseTyped(text)).toThrow(SyntaxError);
    expect(() => parseTyped('{\n  "a": oops\n}')).toThrow("line 2, column 8");
  });

  it("writes indented text that parses to the same", () => {
    const value = parse('{"list":[1,{"deep":12345678901234567890}],"empty":{},"none":null}');
    expect(stringify(value, 2)).toContain('\n  "list": [\n    1,');
    expect(stringify(parse(stringify(value, 2)))).toBe(stringify(value));
  });
});
