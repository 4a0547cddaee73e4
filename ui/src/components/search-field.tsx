/** The search field that `/` focuses. It reports changes with a short delay. */

import { Search, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { classes } from "@/lib/format";
import { useKeys } from "@/shell/shortcuts";

export function SearchField({ value, onChange, placeholder, className }: { value: string; onChange: (text: string) => void; placeholder: string; className?: string }) {
  const [text, setText] = useState(value);
  const field = useRef<HTMLInputElement>(null);
  const reported = useRef(value);
  const tell = useRef(onChange);
  tell.current = onChange;
  useEffect(() => {
    if (value !== reported.current) setText(value);
    reported.current = value;
  }, [value]);
  useEffect(() => {
    if (text === reported.current) return;
    const timer = window.setTimeout(() => {
      reported.current = text;
      tell.current(text);
    }, 220);
    return () => window.clearTimeout(timer);
  }, [text]);
  useKeys({ "/": () => field.current?.focus() });
  return (
    <span className={classes("relative inline-flex min-w-0", className)}>
      <Search className="pointer-events-none absolute top-[7px] left-2 size-3.5 text-faint" />
      <input
        ref={field}
        type="search"
        aria-label={placeholder}
        placeholder={placeholder}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            if (text) setText("");
            else field.current?.blur();
          }
        }}
        className="h-7 w-full rounded-md bg-bg pr-6 pl-7 text-sm hairline outline-none focus-visible:shadow-[inset_0_0_0_1.5px_var(--accent)] [&::-webkit-search-cancel-button]:hidden"
      />
      {text && (
        <button type="button" aria-label="Clear" onClick={() => setText("")} className="absolute top-1 right-1 flex size-5 items-center justify-center rounded-sm text-faint hover:text-text">
          <X className="size-3.5" />
        </button>
      )}
    </span>
  );
}

/** Text with search matches highlighted. */
export function Marked({ text, search }: { text: string; search: string | undefined }) {
  const words = search?.trim();
  if (!words) return <>{text}</>;
  const at = text.toLowerCase().indexOf(words.toLowerCase());
  if (at < 0) return <>{text}</>;
  return (
    <>
      {text.slice(0, at)}
      <mark className="rounded-xs bg-warn-soft text-warn">{text.slice(at, at + words.length)}</mark>
      {text.slice(at + words.length)}
    </>
  );
}
