import { describe, expect, it } from "vitest";
import type { Schema } from "@/api/types";
import { asJsonSchema, initial, readNumber, validate, variants } from "./schema";

const order = {
  type: "object",
  properties: {
    order: { $ref: "#/$defs/Order" },
    note: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
  },
  required: ["order"],
  additionalProperties: false,
  $defs: { Order: { type: "object", properties: { id: { type: "string", minLength: 1 }, quantity: { type: "integer", minimum: 1, default: 1 }, items: { type: "array", items: { type: "string" } } }, required: ["id", "items"] } },
} as unknown as Schema;

describe("schemas", () => {
  it("begin with their defaults and with what is needed", () => {
    expect(initial(order, order)).toEqual({ order: { quantity: 1, items: [] }, note: null });
  });

  it("report each error at its field", () => {
    expect(validate(order, { order: { quantity: 0, items: ["a"] } })).toEqual([
      { path: ["order", "id"], message: "Required." },
      { path: ["order", "quantity"], message: "Must be at least 1." },
    ]);
    expect(validate(order, { order: { id: "1", items: [] } })).toEqual([]);
  });

  it("refuse unknown fields", () => {
    expect(validate(order, { order: { id: "1", items: [] }, extra: 1 }).map((error) => error.path)).toEqual([["extra"]]);
  });

  it("take a time of day without a zone", () => {
    const shop = { type: "object", properties: { opens: { anyOf: [{ type: "string", format: "time" }, { type: "null" }] } } } as unknown as Schema;
    expect(validate(shop, { opens: "17:30:00" })).toEqual([]);
    expect(validate(shop, { opens: "25:30" }).map((error) => error.path)).toEqual([["opens"]]);
  });

  it("read numbers with all their digits", () => {
    expect(["", " 7 ", "007", ".5", "-.5", "1.", "1.e3", "1e3", "seven"].map(readNumber)).toEqual([undefined, 7, 7, 0.5, -0.5, 1, 1000, 1000, "seven"]);
    expect(["123456789012345678901", "0.1234567890123456789"].map((text) => String(readNumber(text)))).toEqual(["123456789012345678901", "0.1234567890123456789"]);
  });

  it("know what may be null", () => {
    expect(variants({ anyOf: [{ type: "integer" }, { type: "null" }] } as unknown as Schema, {})).toEqual({ choices: [{ type: "integer" }], nullable: true });
  });

  it("understand the list of fields of the original", () => {
    const schema = asJsonSchema({ fields: [{ name: "size", type: "select", options: ["s", "m"], required: true }, { name: "tags", type: "multiselect", options: [{ value: "a", label: "A" }] }] } as unknown as Schema);
    expect(validate(schema, { size: "xl" }).map((error) => error.path)).toEqual([["size"]]);
    expect(validate(schema, { size: "s", tags: ["a"] })).toEqual([]);
  });
});
