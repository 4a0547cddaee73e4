/** JSON viewer: collapse, search, copy a value or its path; long lists open in pages. */

import { ChevronRight, Search, WrapText } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { LosslessNumber, stringify } from "@/api/exact-json";
import { classes, count, plural } from "@/lib/format";
import { showToast } from "./toast";
import { copy, Copyable, IconButton } from "./ui";

const pieces = 100;
const longText = 400;

/** `marks` are paths to reveal and highlight, as returned by `hitsOf` or `differences`. */
export function JsonView({ value, label, openTo = 2, tools = true, className, end, marks, find }: { value: unknown; label: string; openTo?: number; tools?: boolean; className?: string; end?: ReactNode; marks?: Set<string>; find?: string }) {
  const [search, setSearch] = useState(find ?? "");
  const [searching, setSearching] = useState(Boolean(find));
  const [raw, setRaw] = useState(false);
  const expanded = useMemo(() => stringify(value, 2), [value]);
  const hits = useMemo(() => (search ? new Set(hitsOf(value, search.toLowerCase())) : null), [value, search]);
  const isSmall = !isTree(value);
  return (
    <div className={classes("group/json relative overflow-hidden rounded-md bg-sunken hairline", className)}>
      <div className="flex h-8 items-center gap-0.5 border-b py-0 pr-1 pl-2.5">
        <span className="flex-1 truncate text-xs font-medium text-muted">{label}</span>
        {end}
        {tools && !isSmall && searching && (
          <input
            autoFocus={!find}
            aria-label="Search"
            placeholder="Search"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") {
                setSearch("");
                setSearching(false);
              }
            }}
            className="h-6 w-32 rounded-sm bg-bg px-1.5 text-xs hairline outline-none"
          />
        )}
        {hits && <span className="px-1 text-xs text-faint">{count([...hits].filter((path) => path.startsWith("=")).length)}</span>}
        {tools && !isSmall && (
          <>
            <IconButton label="Search" size="sm" className="!h-6 !w-6" onClick={() => setSearching(!searching)}>
              <Search className="!size-3.5" />
            </IconButton>
            <IconButton label={raw ? "View as tree" : "View as text"} size="sm" className="!h-6 !w-6" onClick={() => setRaw(!raw)}>
              <WrapText className="!size-3.5" />
            </IconButton>
          </>
        )}
        <Copyable text={expanded} label="Copy as JSON" className="p-1" />
      </div>
      <div className="max-h-[420px] overflow-auto px-2.5 py-2 font-mono text-xs leading-5" tabIndex={0} role="group" aria-label={label}>
        {raw ? <pre className="break-all whitespace-pre-wrap">{expanded}</pre> : <Node value={value} path="" depth={0} openTo={openTo} hits={hits ?? marks ?? null} last />}
      </div>
    </div>
  );
}

function isTree(value: unknown): value is object {
  return value !== null && typeof value === "object" && !(value instanceof LosslessNumber);
}

function* hitsOf(value: unknown, search: string, path = ""): Generator<string> {
  if (!isTree(value)) {
    if (String(value).toLowerCase().includes(search)) yield `=${path}`;
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    const inner = join(path, key, Array.isArray(value));
    let paths = false;
    if (!Array.isArray(value) && key.toLowerCase().includes(search)) {
      paths = true;
      yield `=${inner}`;
    }
    for (const hit of hitsOf(item, search, inner)) {
      paths = true;
      yield hit;
    }
    if (paths) yield path;
  }
}

/** Paths at which two values differ: `=path` for each difference, plus the paths of its ancestors. */
export function differences(one: unknown, other: unknown): Set<string> {
  const paths = new Set<string>();
  const walk = (a: unknown, b: unknown, path: string): boolean => {
    if (!isTree(a) || !isTree(b) || Array.isArray(a) !== Array.isArray(b)) {
      if (stringify(a) === stringify(b)) return false;
      paths.add(`=${path}`).add(path);
      return true;
    }
    let differs = false;
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const inner = join(path, key, Array.isArray(a));
      if (!(key in a) || !(key in b)) {
        paths.add(`=${inner}`).add(inner);
        differs = true;
      } else if (walk((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], inner)) differs = true;
    }
    if (differs) paths.add(path);
    return differs;
  };
  walk(one, other, "");
  return paths;
}

function join(path: string, key: string, isIndex: boolean): string {
  if (isIndex) return `${path}[${key}]`;
  return /^[A-Za-z_]\w*$/.test(key) ? (path ? `${path}.${key}` : key) : `${path}[${JSON.stringify(key)}]`;
}

interface NodeProps {
  value: unknown;
  path: string;
  name?: string;
  depth: number;
  openTo: number;
  hits: Set<string> | null;
  last?: boolean;
}

function Node({ value, path, name, depth, openTo, hits, last }: NodeProps) {
  const size = isTree(value) ? Object.keys(value).length : 0;
  const [chosen, setChosen] = useState<boolean | null>(null);
  const [limit, setLimit] = useState(pieces);
  const isHit = hits?.has(`=${path}`) ?? false;
  const open = chosen ?? (hits ? hits.has(path) || depth === 0 : depth < openTo && (size <= 40 || depth === 0));
  const head = (
    <>
      {name !== undefined && (
        <>
          <button
            type="button"
            title={`Copy path ${path}`}
            onClick={() => void copy(path).then(() => showToast("Path copied", path))}
            className={classes("rounded-sm text-muted hover:text-text hover:underline", isHit && "bg-warn-soft text-warn")}
          >
            {name}
          </button>
          <span className="text-faint">: </span>
        </>
      )}
    </>
  );
  if (!isTree(value)) {
    return (
      <div className="pl-4">
        {head}
        <Leaf value={value} isHit={isHit} />
        {!last && <span className="text-faint">,</span>}
      </div>
    );
  }
  const isList = Array.isArray(value);
  const [left, right] = isList ? ["[", "]"] : ["{", "}"];
  if (size === 0) {
    return (
      <div className="pl-4">
        {head}
        <span className="text-faint">
          {left}
          {right}
          {!last && ","}
        </span>
      </div>
    );
  }
  const entries = open ? Object.entries(value).slice(0, limit) : [];
  return (
    <div>
      <div className="flex items-start">
        <button type="button" aria-expanded={open} aria-label={open ? "Collapse" : "Expand"} onClick={() => setChosen(!open)} className="flex h-5 w-4 shrink-0 items-center text-faint hover:text-text">
          <ChevronRight className={classes("size-3 transition-transform", open && "rotate-90")} />
        </button>
        <div className="min-w-0">
          {head}
          <span className="text-faint">{left}</span>
          {!open && (
            <button type="button" onClick={() => setChosen(true)} className="px-1 text-faint hover:text-text">
              {isList ? plural(size, "item") : plural(size, "key")} <span>{right}</span>
              {!last && ","}
            </button>
          )}
        </div>
      </div>
      {open && (
        <>
          <div className="ml-[5px] border-l pl-[7px]">
            {entries.map(([key, item], index) => (
              <Node key={key} value={item} name={isList ? key : key} path={join(path, key, isList)} depth={depth + 1} openTo={openTo} hits={hits} last={index === size - 1} />
            ))}
            {size > limit && (
              <button type="button" onClick={() => setLimit(limit + pieces * 5)} className="pl-4 text-accent hover:underline">
                {count(size - limit)} more
              </button>
            )}
          </div>
          <div className="pl-4 text-faint">
            {right}
            {!last && ","}
          </div>
        </>
      )}
    </div>
  );
}

function Leaf({ value, isHit }: { value: unknown; isHit: boolean }) {
  const [expanded, setExpanded] = useState(false);
  const mark = isHit ? "bg-warn-soft" : "";
  if (typeof value === "string") {
    const shown = expanded || value.length <= longText ? value : value.slice(0, longText);
    return (
      <span className={classes("break-all whitespace-pre-wrap text-ok", mark)}>
        {JSON.stringify(shown)}
        {shown.length < value.length && (
          <button type="button" onClick={() => setExpanded(true)} className="text-accent hover:underline">
            {" "}
            … {count(value.length - shown.length)} more characters
          </button>
        )}
      </span>
    );
  }
  if (value instanceof LosslessNumber) {
    return (
      <span title="Shown exactly: too large for a JavaScript number" className={classes("text-info", mark)}>
        {value.value}
      </span>
    );
  }
  if (typeof value === "number") return <span className={classes("text-info", mark)}>{String(value)}</span>;
  return <span className={classes("text-warn", mark)}>{String(value)}</span>;
}
