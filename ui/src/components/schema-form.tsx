/** A form for a JSON Schema. Our own, because @rjsf/core reads numbers as doubles: long integers and decimals would change. */

import { ArrowDown, ArrowUp, Plus, X } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { LosslessNumber, stringify } from "@/api/exact-json";
import type { Schema } from "@/api/types";
import { classes } from "@/lib/format";
import { asJsonSchema, chosen, initial, type Path, pathKey, readNumber, resolve, titleOf, type ValidationError, variants } from "@/lib/schema";
import { toLocalField } from "@/lib/time";
import { readJson } from "./json-field";
import { Button, Checkbox, Field, IconButton, Input, Segments, Select, Switch, Textarea } from "./ui";

interface PartProps {
  schema: Schema;
  root: Schema;
  value: unknown;
  onChange: (value: unknown) => void;
  path: Path;
  errors: Map<string, string>;
  name?: string;
  required?: boolean;
  bare?: boolean;
}

export function SchemaForm({ schema, value, onChange, errors }: { schema: Schema; value: unknown; onChange: (value: unknown) => void; errors: ValidationError[] }) {
  const root = asJsonSchema(schema);
  const byPath = new Map(errors.map((error) => [pathKey(error.path), error.message]));
  return (
    <div className="flex flex-col gap-3" data-testid="schema-form">
      <Part schema={root} root={root} value={value} onChange={onChange} path={[]} errors={byPath} bare required />
    </div>
  );
}

function Part(props: PartProps) {
  const schema = named(resolve(props.schema, props.root), props);
  const field = { ...props, schema };
  if (Array.isArray(schema.enum)) return <Choice {...field} />;
  if ("const" in schema) return <Constant {...field} />;
  const union = variants(schema, props.root);
  if (union) {
    // Decimal appears as "string or number": the string keeps all digits.
    const asText = union.choices.find((choice) => choice.type === "string" && !choice.format);
    if (asText && union.choices.length > 1 && union.choices.every((choice) => choice.type === "string" || choice.type === "number" || choice.type === "integer")) {
      const inner = { ...asText, title: schema.title, description: schema.description, examples: schema.examples } as Schema;
      const text = typeof props.value === "number" || props.value instanceof LosslessNumber ? String(props.value) : props.value;
      return <TextPart {...field} schema={inner} value={text} onChange={(value) => props.onChange(value === undefined && union.nullable ? null : value)} />;
    }
    const only = union.choices[0];
    if (union.choices.length === 1 && only) {
      // "X or null": show the field of X; empty means null.
      const inner = { ...only, title: schema.title ?? only.title ?? undefined, description: schema.description ?? only.description ?? undefined } as Schema;
      if (only.type === "object" || only.properties || only.type === "array") return <Perhaps {...field} schema={inner} />;
      return <Part {...field} schema={inner} required={false} onChange={(value) => props.onChange(value === undefined && union.nullable ? null : value)} />;
    }
    return <Union {...field} choices={union.choices} nullable={union.nullable} />;
  }
  switch (schema.type) {
    case "string":
      return <TextPart {...field} />;
    case "integer":
    case "number":
      return <NumberPart {...field} />;
    case "boolean":
      return <BooleanPart {...field} />;
    case "array":
      return <ListPart {...field} />;
    case "object":
      return <ObjectPart {...field} />;
    default:
      return schema.properties ? <ObjectPart {...field} /> : <JsonPart {...field} />;
  }
}

/** The title of a `$ref` target names the type, so a field with a reference is labelled by its own name. */
function named(schema: Schema, { schema: own, name, path }: PartProps): Schema {
  if (name === undefined || typeof own.$ref !== "string" || typeof own.title === "string") return schema;
  const words = path.length > 1 && typeof path.at(-1) === "string" ? name.replaceAll("_", " ").replace(/\b[a-z]/g, (letter) => letter.toUpperCase()) : name;
  return { ...schema, title: words };
}

function frame({ schema, name, required, path, errors }: PartProps) {
  return {
    label: titleOf(schema, name),
    hint: typeof schema.description === "string" ? schema.description : undefined,
    error: errors.get(pathKey(path)),
    required,
  };
}

const example = (schema: Schema) => (Array.isArray(schema.examples) && schema.examples.length > 0 ? String(schema.examples[0]) : undefined);

function TextPart(props: PartProps) {
  const { schema, value, onChange } = props;
  const text = typeof value === "string" ? value : "";
  const tell = (next: string) => onChange(next === "" && !props.required ? undefined : next === "" ? undefined : next);
  const format = schema.format as string | undefined;
  const wantsRoom = format === "textarea" || (typeof schema.maxLength === "number" && schema.maxLength > 200) || text.length > 80 || text.includes("\n");
  const [long, setLong] = useState(wantsRoom);
  const line = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // Not while the field is being edited: replacing it would lose the focus.
    if (wantsRoom && document.activeElement !== line.current) setLong(true);
  }, [wantsRoom]);
  if (format === "date-time") return <DateTimePart {...props} />;
  const type = format === "date" ? "date" : format === "time" ? "time" : format === "email" ? "email" : format === "uri" ? "url" : format === "password" ? "password" : "text";
  return (
    <Field {...frame(props)}>
      {(wires) =>
        long ? (
          <Textarea {...wires} rows={4} value={text} placeholder={example(schema)} onChange={(event) => tell(event.target.value)} />
        ) : (
          <Input {...wires} ref={line} type={type} step={type === "time" ? 1 : undefined} value={text} placeholder={example(schema) ?? (format === "duration" ? "PT1H30M" : format === "uuid" ? "00000000-0000-…" : undefined)} onChange={(event) => tell(event.target.value)} />
        )
      }
    </Field>
  );
}

function DateTimePart(props: PartProps) {
  const { value, onChange } = props;
  const at = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return (
    <Field {...frame(props)} hint={Number.isNaN(at) ? (frame(props).hint ?? "Your local time.") : new Date(at).toISOString()}>
      {(wires) => (
        <Input {...wires} type="datetime-local" value={Number.isNaN(at) ? "" : toLocalField(at)} onChange={(event) => onChange(event.target.value ? new Date(event.target.value).toISOString() : undefined)} />
      )}
    </Field>
  );
}

function NumberPart(props: PartProps) {
  const { schema, value, onChange } = props;
  const shown = value instanceof LosslessNumber ? value.value : typeof value === "number" ? String(value) : "";
  const [text, setText] = useState(shown);
  useEffect(() => {
    if (readNumber(text) !== value && shown !== text && !(Number.isNaN(Number(text)) && value === text)) setText(typeof value === "string" ? value : shown);
    // Only an external change replaces the text: "1." may become "1.5".
  }, [shown]);
  const isInteger = schema.type === "integer";
  return (
    <Field {...frame(props)}>
      {(wires) => (
        <Input
          {...wires}
          inputMode={isInteger ? "numeric" : "decimal"}
          value={text}
          placeholder={example(schema)}
          onChange={(event) => {
            setText(event.target.value);
            onChange(readNumber(event.target.value));
          }}
        />
      )}
    </Field>
  );
}

function BooleanPart(props: PartProps) {
  const { label, hint, error } = frame(props);
  return (
    <div className="flex items-start justify-between gap-3 rounded-md px-3 py-2 hairline">
      <div>
        <div className="text-sm">{label}</div>
        {(error ?? hint) && <div className={classes("text-xs", error ? "text-bad" : "text-faint")}>{error ?? hint}</div>}
      </div>
      <Switch label={label} checked={props.value === true} onCheckedChange={props.onChange} />
    </div>
  );
}

function Choice(props: PartProps) {
  const options = props.schema.enum as unknown[];
  const at = options.findIndex((option) => stringify(option) === stringify(props.value ?? null) && props.value !== undefined);
  const text = (option: unknown) => (typeof option === "string" ? option : stringify(option));
  if (options.length <= 4 && props.required && options.every((option) => text(option).length < 16)) {
    const { label, hint, error } = frame(props);
    return (
      <div className="flex flex-col items-start gap-1">
        <span className="text-xs font-medium text-muted">{label}<span className="text-bad"> *</span></span>
        <Segments label={label} value={String(at)} onChange={(key) => props.onChange(options[Number(key)])} options={options.map((option, index) => ({ key: String(index), label: text(option) }))} />
        {(error ?? hint) && <div className={classes("text-xs", error ? "text-bad" : "text-faint")}>{error ?? hint}</div>}
      </div>
    );
  }
  return (
    <Field {...frame(props)}>
      {(wires) => (
        <Select {...wires} value={at} onChange={(event) => props.onChange(event.target.value === "-1" ? undefined : options[Number(event.target.value)])}>
          <option value={-1}>Choose</option>
          {options.map((option, index) => (
            <option key={index} value={index}>
              {text(option)}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
}

function Constant({ schema, value, onChange }: PartProps) {
  useEffect(() => {
    if (value !== schema.const) onChange(schema.const);
  });
  return null;
}

function Union(props: PartProps & { choices: Schema[]; nullable: boolean }) {
  const { choices, nullable, value, root, onChange } = props;
  const at = value === null || (value === undefined && (nullable || !props.required)) ? -1 : chosen(choices, value, root);
  const { label, hint } = frame(props);
  const id = useId();
  const words = choices.map((choice, index) => titleOf(choice) || `Variant ${index + 1}`);
  const now = choices[at];
  return (
    <fieldset className="flex flex-col gap-2">
      <div className="flex flex-col items-start gap-1">
        <label htmlFor={id} className="text-xs font-medium text-muted">
          {label}
        </label>
        <Select
          id={id}
          value={at}
          onChange={(event) => {
            const next = Number(event.target.value);
            onChange(next < 0 ? (nullable ? null : undefined) : (initial(choices[next]!, root) ?? undefined));
          }}
        >
          {(nullable || !props.required) && <option value={-1}>None</option>}
          {words.map((word, index) => (
            <option key={index} value={index}>
              {word}
            </option>
          ))}
        </Select>
        {hint && <div className="text-xs text-faint">{hint}</div>}
      </div>
      {now && (
        <div className="border-l pl-3">
          <Part {...props} schema={now} bare name={now.properties ? undefined : "Value"} required />
        </div>
      )}
    </fieldset>
  );
}

function Perhaps(props: PartProps) {
  const on = props.value !== null && props.value !== undefined;
  const { label, hint } = frame(props);
  return (
    <fieldset className="flex flex-col gap-2">
      <div className="flex items-center justify-between gap-3">
        <span className="text-xs font-medium text-muted">{label}</span>
        <Switch label={label} checked={on} onCheckedChange={(next) => props.onChange(next ? (initial(withoutDefault(props.schema), props.root) ?? starting(props.schema)) : null)} />
      </div>
      {hint && <div className="text-xs text-faint">{hint}</div>}
      {on && (
        <div className="border-l pl-3">
          <Part {...props} bare required />
        </div>
      )}
    </fieldset>
  );
}

function withoutDefault({ default: _, ...schema }: Schema): Schema {
  return schema;
}

function starting(schema: Schema): unknown {
  return schema.type === "array" ? [] : {};
}

function ObjectPart(props: PartProps) {
  const { schema, root, onChange, path, errors } = props;
  const value = props.value !== null && typeof props.value === "object" && !Array.isArray(props.value) ? (props.value as Record<string, unknown>) : {};
  const properties = (schema.properties as Record<string, Schema> | undefined) ?? {};
  const required = (schema.required as string[] | undefined) ?? [];
  const more = schema.additionalProperties;
  const set = (key: string, next: unknown) => {
    const copy = { ...value };
    if (next === undefined) delete copy[key];
    else copy[key] = next;
    onChange(copy);
  };
  const inside = (
    <div className="flex flex-col gap-3">
      {Object.entries(properties).map(([key, part]) => (
        <Part key={key} schema={part} root={root} value={value[key]} onChange={(next) => set(key, next)} path={[...path, key]} errors={errors} name={key} required={required.includes(key)} />
      ))}
      {(more === undefined ? Object.keys(properties).length === 0 : more !== false) && <MapPart {...props} value={value} properties={Object.keys(properties)} each={more && typeof more === "object" ? (more as Schema) : {}} />}
    </div>
  );
  if (props.bare) return inside;
  const { label, hint, error } = frame(props);
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-2 text-xs font-medium text-muted">
        {label}
        {props.required && <span className="text-bad"> *</span>}
      </legend>
      {(error ?? hint) && <div className={classes("-mt-1 text-xs", error ? "text-bad" : "text-faint")}>{error ?? hint}</div>}
      <div className="border-l pl-3">{inside}</div>
    </fieldset>
  );
}

/** An object with arbitrary keys. */
function MapPart(props: PartProps & { properties: string[]; each: Schema }) {
  const value = props.value as Record<string, unknown>;
  const [name, setName] = useState("");
  const free = Object.keys(value).filter((key) => !props.properties.includes(key));
  const add = () => {
    if (!name || name in value) return;
    props.onChange({ ...value, [name]: initial(props.each, props.root) ?? null });
    setName("");
  };
  return (
    <div className="flex flex-col gap-2">
      {free.map((key) => (
        <div key={key} className="flex items-start gap-2">
          <div className="min-w-0 flex-1">
            <Part schema={props.each} root={props.root} value={value[key]} name={key} path={[...props.path, key]} errors={props.errors} onChange={(next) => props.onChange({ ...value, [key]: next ?? null })} />
          </div>
          <IconButton
            label="Remove"
            size="sm"
            className="mt-5"
            onClick={() => {
              const { [key]: _, ...rest } = value;
              props.onChange(rest);
            }}
          >
            <X />
          </IconButton>
        </div>
      ))}
      <div className="flex gap-2">
        <Input aria-label="New key" placeholder="New key" value={name} onChange={(event) => setName(event.target.value)} onKeyDown={(event) => event.key === "Enter" && (event.preventDefault(), add())} className="!w-40" />
        <Button icon={<Plus />} disabled={!name || name in value} onClick={add}>
          Add
        </Button>
      </div>
    </div>
  );
}

function ListPart(props: PartProps) {
  const { schema, root, onChange, path, errors } = props;
  const value = Array.isArray(props.value) ? (props.value as unknown[]) : [];
  const fixed = schema.prefixItems as Schema[] | undefined;
  const items = resolve((schema.items as Schema | undefined) ?? {}, root);
  const { label, hint, error } = frame(props);
  const put = (index: number, next: unknown) => onChange(Array.from({ length: Math.max(value.length, index + 1) }, (_, at) => (at === index ? (next ?? null) : (value[at] ?? null))));
  const head = !props.bare || props.name ? (
    <div>
      <div className="text-xs font-medium text-muted">
        {label}
        {props.required && !props.bare && <span className="text-bad"> *</span>}
      </div>
      {(error ?? hint) && <div className={classes("text-xs", error ? "text-bad" : "text-faint")}>{error ?? hint}</div>}
    </div>
  ) : null;
  if (fixed) {
    return (
      <fieldset className="flex flex-col gap-2">
        {head}
        <div className="flex flex-col gap-2 border-l pl-3">
          {fixed.map((part, index) => (
            <Part key={index} schema={part} root={root} value={value[index]} name={`${index + 1}`} path={[...path, index]} errors={errors} required onChange={(next) => put(index, next)} />
          ))}
        </div>
      </fieldset>
    );
  }
  if (Array.isArray(items.enum) && (schema.uniqueItems || items.enum.length <= 12)) {
    return (
      <fieldset className="flex flex-col gap-1.5">
        {head}
        <div className="flex flex-wrap gap-x-4 gap-y-1">
          {(items.enum as unknown[]).map((option) => {
            const text = typeof option === "string" ? option : stringify(option);
            return (
              <label key={text} className="flex items-center gap-1.5">
                <Checkbox label={text} checked={value.some((item) => stringify(item) === stringify(option))} onChange={(on) => onChange(on ? [...value, option] : value.filter((item) => stringify(item) !== stringify(option)))} />
                {text}
              </label>
            );
          })}
        </div>
      </fieldset>
    );
  }
  const move = (index: number, by: number) => {
    const copy = [...value];
    [copy[index], copy[index + by]] = [copy[index + by], copy[index]];
    onChange(copy);
  };
  const least = typeof schema.minItems === "number" ? schema.minItems : 0;
  const most = typeof schema.maxItems === "number" ? schema.maxItems : Number.POSITIVE_INFINITY;
  return (
    <fieldset className="flex flex-col gap-2">
      {head}
      {value.length > 0 && (
        <div className="flex flex-col gap-2 border-l pl-3">
          {value.map((item, index) => (
            <div key={index} className="flex items-start gap-1">
              <div className="min-w-0 flex-1">
                <Part schema={items} root={root} value={item === null ? undefined : item} path={[...path, index]} errors={errors} name={`${index + 1}`} required onChange={(next) => put(index, next)} />
              </div>
              <div className="mt-5 flex">
                <IconButton label="Move up" tip={false} size="sm" disabled={index === 0} onClick={() => move(index, -1)}>
                  <ArrowUp />
                </IconButton>
                <IconButton label="Move down" tip={false} size="sm" disabled={index === value.length - 1} onClick={() => move(index, 1)}>
                  <ArrowDown />
                </IconButton>
                <IconButton label="Remove" tip={false} size="sm" disabled={value.length <= least} onClick={() => onChange(value.filter((_, at) => at !== index))}>
                  <X />
                </IconButton>
              </div>
            </div>
          ))}
        </div>
      )}
      <div>
        <Button size="sm" icon={<Plus />} disabled={value.length >= most} onClick={() => onChange([...value, initial(items, root) ?? null])}>
          Add item
        </Button>
      </div>
    </fieldset>
  );
}

/** Fallback for schemas without a field of their own: a JSON editor. */
function JsonPart(props: PartProps) {
  const { value, onChange } = props;
  const [text, setText] = useState(() => (value === undefined ? "" : stringify(value, 2)));
  const [wrong, setWrong] = useState<string | null>(null);
  const field = frame(props);
  return (
    <Field {...field} hint={field.hint ?? "Any JSON value."} error={wrong ?? field.error}>
      {(wires) => (
        <Textarea
          {...wires}
          rows={3}
          spellCheck={false}
          className="font-mono !text-xs"
          value={text}
          onChange={(event) => {
            const next = event.target.value;
            setText(next);
            if (next.trim() === "") {
              setWrong(null);
              onChange(undefined);
              return;
            }
            const parsed = readJson(next);
            setWrong(parsed.error ?? null);
            if (parsed.error === undefined) onChange(parsed.value);
          }}
        />
      )}
    </Field>
  );
}
