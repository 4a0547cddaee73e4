/** JSON Schema for forms: resolve references, initial values, validation. Nothing here uses eval. */

import { Validator } from "@cfworker/json-schema";
import { LosslessNumber, toNumber } from "@/api/exact-json";
import type { Schema } from "@/api/types";

const typeLabels: Record<string, string> = { string: "Text", integer: "Whole number", number: "Number", boolean: "Yes or no", array: "List", object: "Object", null: "None" };
const messages: Record<string, (limit: string) => string> = {
  type: () => "Wrong type.",
  enum: () => "Choose one of the options.",
  const: () => "This value is fixed.",
  format: () => "Invalid format.",
  pattern: () => "Invalid format.",
  minLength: (limit: string) => (limit ? `At least ${limit} characters.` : "Too short."),
  maxLength: (limit: string) => (limit ? `At most ${limit} characters.` : "Too long."),
  minimum: (limit: string) => (limit ? `Must be at least ${limit}.` : "Too small."),
  maximum: (limit: string) => (limit ? `Must be at most ${limit}.` : "Too large."),
  exclusiveMinimum: (limit: string) => (limit ? `Must be more than ${limit}.` : "Too small."),
  exclusiveMaximum: (limit: string) => (limit ? `Must be less than ${limit}.` : "Too large."),
  multipleOf: (limit: string) => `Must be a multiple of ${limit}.`,
  minItems: (limit: string) => `At least ${limit} items.`,
  maxItems: (limit: string) => `At most ${limit} items.`,
  uniqueItems: () => "Items must be unique.",
  anyOf: () => "Does not match any option.",
  oneOf: () => "Does not match any option.",
};

export type Path = (string | number)[];
export interface ValidationError {
  path: Path;
  message: string;
}

export const pathKey = (path: Path) => path.join("\u0000");

type Loose = Record<string, unknown>;

/** Converts a `{"fields": [...]}` form to a JSON Schema; a JSON Schema stays unchanged. */
export function asJsonSchema(schema: Schema): Schema {
  if (!Array.isArray(schema.fields)) return schema;
  const properties: Loose = {};
  const required: string[] = [];
  for (const field of schema.fields as Loose[]) {
    const name = String(field.name);
    const options = (field.options as unknown[] | undefined)?.map((option) => (option && typeof option === "object" ? (option as Loose).value : option));
    const part: Loose = { title: field.label ?? field.title, description: field.description, default: field.default, examples: field.placeholder ? [field.placeholder] : undefined };
    switch (field.type) {
      case "number":
        part.type = "number";
        break;
      case "boolean":
        part.type = "boolean";
        break;
      case "select":
        part.enum = options;
        break;
      case "multiselect":
        Object.assign(part, { type: "array", uniqueItems: true, items: { enum: options } });
        break;
      case "textarea":
        Object.assign(part, { type: "string", format: "textarea" });
        break;
      case "json":
        break;
      default:
        part.type = "string";
    }
    properties[name] = Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined));
    if (field.required) required.push(name);
  }
  return { type: "object", properties, required } as unknown as Schema;
}

/** The schema with `$ref` resolved and `allOf` merged. */
export function resolve(schema: Schema, root: Schema, depth = 0): Schema {
  if (depth > 16) return {};
  if (typeof schema.$ref === "string" && schema.$ref.startsWith("#")) {
    let result: unknown = root;
    for (const key of schema.$ref.slice(2).split("/").filter(Boolean)) result = (result as Loose | undefined)?.[key.replace(/~1/g, "/").replace(/~0/g, "~")];
    const { $ref: _, ...rest } = schema;
    return resolve({ ...(result as Schema | undefined), ...rest }, root, depth + 1);
  }
  if (Array.isArray(schema.allOf)) {
    const { allOf, ...rest } = schema;
    const parts = (allOf as Schema[]).map((item) => resolve(item, root, depth + 1));
    const joined: Loose = Object.assign({}, ...parts, rest);
    joined.properties = Object.assign({}, ...parts.map((part) => part.properties ?? {}), rest.properties ?? {});
    joined.required = [...parts, rest].flatMap((item) => (item.required as string[] | undefined) ?? []);
    if (Object.keys(joined.properties as Loose).length === 0) delete joined.properties;
    return joined as Schema;
  }
  return schema;
}

export const isNull = (schema: Schema) => schema.type === "null" || schema.const === null;

/** The variants of a union without `null`, and whether it allows `null`. */
export function variants(schema: Schema, root: Schema): { choices: Schema[]; nullable: boolean } | null {
  const raw = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined;
  if (raw) {
    const all = raw.map((item) => resolve(item, root));
    return { choices: all.filter((item) => !isNull(item)), nullable: all.some(isNull) };
  }
  if (Array.isArray(schema.type)) {
    const types = schema.type as string[];
    return { choices: types.filter((type) => type !== "null").map((type) => ({ ...schema, type })), nullable: types.includes("null") };
  }
  return null;
}

/** The initial value of a form. */
export function initial(given: Schema, root: Schema, depth = 0): unknown {
  const schema = resolve(given, root);
  if ("default" in schema) return schema.default;
  if ("const" in schema) return schema.const;
  if (depth > 6) return undefined;
  const union = variants(schema, root);
  if (union) {
    if (union.nullable) return null;
    return union.choices[0] ? initial(union.choices[0], root, depth + 1) : undefined;
  }
  if (schema.type === "object" || schema.properties) {
    const result: Loose = {};
    const required = (schema.required as string[] | undefined) ?? [];
    for (const [key, part] of Object.entries((schema.properties as Record<string, Schema> | undefined) ?? {})) {
      const value = initial(part, root, depth + 1);
      const resolved = resolve(part, root);
      if (value !== undefined && (required.includes(key) || "default" in resolved)) result[key] = value;
    }
    return result;
  }
  if (schema.type === "array") return [];
  if (schema.type === "boolean") return false;
  return undefined;
}

export function titleOf(schema: Schema, name?: string): string {
  if (typeof schema.title === "string" && schema.title) return schema.title;
  if (name !== undefined) return name;
  if ("const" in schema) return String(schema.const);
  return typeof schema.type === "string" ? typeLabels[schema.type] ?? schema.type : "Value";
}

/** The index of the variant that a value belongs to. */
export function chosen(choices: Schema[], value: unknown, root: Schema): number {
  const fitting = choices.findIndex((choice) => validate({ ...choice, $defs: root.$defs ?? {}, definitions: root.definitions ?? {} } as Schema, value).length === 0);
  if (fitting >= 0) return fitting;
  // No variant fits yet (a field is still empty): use the discriminator, or else the type of the value.
  const byMark = choices.findIndex((choice) => {
    const properties = (choice.properties as Record<string, Schema> | undefined) ?? {};
    return value !== null && typeof value === "object" && Object.entries(properties).some(([key, part]) => "const" in part && (value as Loose)[key] === part.const);
  });
  if (byMark >= 0) return byMark;
  const kind = Array.isArray(value) ? "array" : typeof value;
  const byKind = choices.findIndex((choice) => choice.type === kind || (kind === "number" && choice.type === "integer"));
  return Math.max(0, byKind);
}

/** Validation errors of a value, each with the path of its field. */
export function validate(schema: Schema, value: unknown): ValidationError[] {
  let errors: { instanceLocation: string; keyword: string; error: string }[];
  try {
    errors = new Validator(clocks(asJsonSchema(schema)) as never, "2020-12", false).validate(withDoubles(value)).errors;
  } catch {
    // The validator cannot read this schema: leave validation to the server.
    return [];
  }
  const result: ValidationError[] = [];
  for (const error of errors) {
    if (["properties", "items", "prefixItems", "$ref", "allOf", "additionalProperties", "if", "then", "else", "$dynamicRef"].includes(error.keyword) && error.keyword !== "additionalProperties") continue;
    const path = error.instanceLocation
      .replace(/^#\/?/, "")
      .split("/")
      .filter(Boolean)
      .map((key) => decodeURIComponent(key).replace(/~1/g, "/").replace(/~0/g, "~"));
    if (error.keyword === "required") {
      const missing = /"([^"]+)"/.exec(error.error)?.[1];
      result.push({ path: missing ? [...path, missing] : path, message: "Required." });
    } else if (error.keyword === "false") result.push({ path, message: "Unknown field." });
    else if (error.keyword !== "additionalProperties") result.push({ path, message: messages[error.keyword]?.(limitOf(error.error)) ?? error.error });
  }
  // The deepest error of a branch is the most precise; "does not match any option" above it adds nothing.
  const keys = result.map((entry) => pathKey(entry.path));
  return result.filter((_, index) => keys.indexOf(keys[index]!) === index && !keys.some((key) => key !== keys[index] && key.startsWith(`${keys[index]}\u0000`)) );
}

const clockPattern = "^([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d(\\.\\d+)?)?([Zz]|[+-]\\d{2}:\\d{2})?$";

/** The same schema with times that need no zone: Python's have none, JSON Schema's `time` requires one. */
function clocks(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(clocks);
  if (schema === null || typeof schema !== "object" || schema.constructor !== Object) return schema;
  const { format, ...rest } = schema as Loose;
  if (format === "time") return { pattern: clockPattern, ...rest };
  return Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, clocks(part)]));
}

/** The limit at the end of a message of the validator. */
function limitOf(message: string): string {
  return /(-?\d+(?:\.\d+)?)\D*$/.exec(message)?.[1] ?? "";
}

/** Replaces exact numbers by the nearest doubles, for the validator. */
function withDoubles(value: unknown): unknown {
  if (value instanceof LosslessNumber) return Number(value.value);
  if (Array.isArray(value)) return value.map(withDoubles);
  if (value !== null && typeof value === "object") return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined).map(([key, item]) => [key, withDoubles(item)]));
  return value;
}

/** Parses a number without losing digits; other text stays text and fails validation. */
export function readNumber(text: string): unknown {
  const clean = text.trim();
  if (clean === "") return undefined;
  if (!/^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(clean)) return clean;
  // JSON allows neither `007` nor `.5` nor `1.`
  return toNumber(clean.replace(/^(-?)0+(?=\d)/, "$1").replace(/^-?(?=\.)/, "$&0").replace(/\.(?=$|e)/i, ""));
}
