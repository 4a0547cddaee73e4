/** Basic components: buttons, fields, dialogs, menus. */

import { Checkbox as RadixCheckbox, Dialog as RadixDialog, DropdownMenu, Popover as RadixPopover, Switch as RadixSwitch, Tooltip as RadixTooltip } from "radix-ui";
import { Check, ChevronDown, Copy, Minus, X } from "lucide-react";
import { type ButtonHTMLAttributes, type InputHTMLAttributes, type ReactNode, type Ref, type SelectHTMLAttributes, type TextareaHTMLAttributes, useEffect, useId, useRef, useState } from "react";
import { classes } from "@/lib/format";
import { absolute, ms, relative, useNow } from "@/lib/time";

type Tone = "plain" | "primary" | "ghost" | "danger";

const buttonLook: Record<Tone, string> = {
  plain: "bg-bg hairline hover:bg-hover active:bg-hover",
  primary: "bg-accent text-on-accent hover:bg-accent-hover",
  ghost: "text-muted hover:bg-hover hover:text-text data-[state=open]:bg-hover",
  danger: "bg-bg text-bad hairline hover:bg-bad-soft",
};

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  tone?: Tone;
  size?: "sm" | "md";
  busy?: boolean;
  icon?: ReactNode;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ tone = "plain", size = "md", busy, icon, className, children, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      className={classes(
        "inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md font-medium whitespace-nowrap select-none disabled:pointer-events-none disabled:opacity-50",
        size === "sm" ? "h-7 px-2 text-xs" : "h-8 px-3 text-sm",
        children ? "" : size === "sm" ? "w-7 px-0" : "w-8 px-0",
        "[&_svg]:size-4 [&_svg]:shrink-0",
        buttonLook[tone],
        className,
      )}
      {...rest}
    >
      {icon}
      {children}
    </button>
  );
}

export function IconButton({ label, tone = "ghost", children, tip = true, ...rest }: ButtonProps & { label: string; tip?: boolean }) {
  const button = (
    <Button tone={tone} aria-label={label} icon={children} {...rest} />
  );
  return tip ? <Tip text={label}>{button}</Tip> : button;
}

export function Tip({ text, children, side }: { text: ReactNode; children: ReactNode; side?: "top" | "right" | "bottom" | "left" }) {
  return (
    <RadixTooltip.Root>
      <RadixTooltip.Trigger asChild>{children}</RadixTooltip.Trigger>
      <RadixTooltip.Portal>
        <RadixTooltip.Content side={side} sideOffset={6} collisionPadding={8} className="animate-appear z-50 max-w-72 rounded-md bg-text px-2 py-1 text-xs text-bg">
          {text}
        </RadixTooltip.Content>
      </RadixTooltip.Portal>
    </RadixTooltip.Root>
  );
}

const fieldLook =
  "w-full rounded-md bg-bg hairline px-2.5 text-sm text-text outline-none focus-visible:shadow-[inset_0_0_0_1.5px_var(--accent)] disabled:opacity-60 aria-invalid:shadow-[inset_0_0_0_1px_var(--bad-fill)]";

export function Input({ className, ...rest }: InputHTMLAttributes<HTMLInputElement> & { ref?: Ref<HTMLInputElement> }) {
  return <input className={classes(fieldLook, "h-8", className)} {...rest} />;
}

export function Textarea({ className, ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement> & { ref?: Ref<HTMLTextAreaElement> }) {
  return <textarea className={classes(fieldLook, "min-h-16 py-1.5", className)} {...rest} />;
}

export function Select({ className, children, ...rest }: SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <span className={classes("relative inline-flex", className)}>
      <select className={classes(fieldLook, "h-8 appearance-none pr-7")} {...rest}>
        {children}
      </select>
      <ChevronDown className="pointer-events-none absolute top-2 right-2 size-4 text-faint" />
    </span>
  );
}

export function Switch({ label, ...rest }: { label: string; checked: boolean; disabled?: boolean; onCheckedChange: (on: boolean) => void }) {
  // In a form Radix adds an absolutely positioned input next to the button: it must not extend the page.
  return (
    <span className="relative inline-flex shrink-0">
      <RadixSwitch.Root
        aria-label={label}
        className="relative h-[18px] w-8 shrink-0 rounded-full bg-line-strong transition-colors disabled:opacity-50 data-[state=checked]:bg-accent"
        {...rest}
      >
        <RadixSwitch.Thumb className="block size-3.5 translate-x-0.5 rounded-full bg-bg transition-transform data-[state=checked]:translate-x-[16px]" />
      </RadixSwitch.Root>
    </span>
  );
}

export function Checkbox({ label, checked, onChange, disabled, id }: { label: string; checked: boolean | "indeterminate"; onChange: (on: boolean) => void; disabled?: boolean; id?: string }) {
  return (
    <span className="relative inline-flex shrink-0">
      <RadixCheckbox.Root
        id={id}
        aria-label={label}
        checked={checked}
        disabled={disabled}
        onCheckedChange={(on) => onChange(on === true)}
        onClick={(event) => event.stopPropagation()}
        className="flex size-4 shrink-0 items-center justify-center rounded-sm bg-bg shadow-[inset_0_0_0_1px_var(--line-strong)] data-[state=checked]:bg-accent data-[state=checked]:text-on-accent data-[state=checked]:shadow-none data-[state=indeterminate]:bg-accent data-[state=indeterminate]:text-on-accent"
      >
        <RadixCheckbox.Indicator>{checked === "indeterminate" ? <Minus className="size-3" strokeWidth={3} /> : <Check className="size-3" strokeWidth={3} />}</RadixCheckbox.Indicator>
      </RadixCheckbox.Root>
    </span>
  );
}

/** A labelled control with hint and error. `children` receives the ids and ARIA attributes. */
export function Field({ label, hint, error, required, children }: { label: ReactNode; hint?: ReactNode; error?: ReactNode; required?: boolean; children: (wires: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => ReactNode }) {
  const id = useId();
  const note = error ?? hint;
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-xs font-medium text-muted">
        {label}
        {required && <span className="text-bad"> *</span>}
      </label>
      {children({ id, "aria-describedby": note ? `${id}-note` : undefined, "aria-invalid": error ? true : undefined })}
      {note && (
        <div id={`${id}-note`} className={classes("text-xs", error ? "text-bad" : "text-faint")}>
          {note}
        </div>
      )}
    </div>
  );
}

let lastOutside: HTMLElement | null = null;
document.addEventListener("focusin", ({ target }) => {
  if (target instanceof HTMLElement && !target.closest("[role=dialog]")) lastOutside = target;
});

/** Restores the focus on close: dialogs are opened without a Radix trigger. */
export function useReturn() {
  const from = useRef<HTMLElement | null>(null);
  return {
    onOpenAutoFocus: () => {
      const here = document.activeElement as HTMLElement | null;
      const menu = here?.closest("[role=menu]");
      from.current = menu ? document.getElementById(menu.getAttribute("aria-labelledby") ?? "") : here;
    },
    onCloseAutoFocus: (event: Event) => {
      event.preventDefault();
      // Empty if an autofocused field took the focus first.
      const to = from.current ?? lastOutside;
      from.current = null;
      if (to?.isConnected) to.focus({ preventScroll: true });
    },
  };
}

export function Dialog({ open, onClose, title, note, children, foot, wide }: { open: boolean; onClose: () => void; title: ReactNode; note?: ReactNode; children?: ReactNode; foot?: ReactNode; wide?: boolean }) {
  const goBack = useReturn();
  return (
    <RadixDialog.Root open={open} onOpenChange={(on) => !on && onClose()}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className="animate-appear fixed inset-0 z-40 bg-scrim" />
        <RadixDialog.Content
          {...(note ? {} : { "aria-describedby": undefined })}
          {...goBack}
          // A click outside or leaving the editor must not discard the text in a large dialog.
          onInteractOutside={(event) => wide && event.preventDefault()}
          onEscapeKeyDown={(event) => {
            const editor = document.activeElement?.closest<HTMLElement>(".cm-editor");
            if (!wide || !editor) return;
            event.preventDefault();
            (document.activeElement as HTMLElement).blur();
          }}
          className={classes(
            "animate-rise fixed top-[8vh] left-1/2 z-40 flex max-h-[84vh] w-[calc(100vw-32px)] -translate-x-1/2 flex-col rounded-lg bg-bg shadow-pop outline-none max-md:top-auto max-md:bottom-0 max-md:max-h-[92dvh] max-md:w-full max-md:rounded-b-none",
            wide ? "max-w-3xl" : "max-w-lg",
          )}
        >
          <div className="flex items-start gap-3 px-4 pt-4 pb-3">
            <div className="min-w-0 flex-1">
              <RadixDialog.Title className="text-base font-semibold">{title}</RadixDialog.Title>
              {note && <RadixDialog.Description className="mt-0.5 text-muted">{note}</RadixDialog.Description>}
            </div>
            <RadixDialog.Close asChild>
              <Button tone="ghost" size="sm" aria-label="Close" icon={<X />} className="-mt-1 -mr-1" />
            </RadixDialog.Close>
          </div>
          <div className="flex min-h-0 flex-1 flex-col gap-3 overflow-y-auto px-4 pb-4">{children}</div>
          {foot && <div className="flex items-center justify-end gap-2 border-t px-4 py-3">{foot}</div>}
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

/** A panel from the right; full-screen on a phone. */
export function Sheet({ open, onClose, title, children, side = "right", bare }: { open: boolean; onClose: () => void; title: string; children: ReactNode; side?: "left" | "right"; bare?: boolean }) {
  const goBack = useReturn();
  return (
    <RadixDialog.Root open={open} onOpenChange={(on) => !on && onClose()}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className="animate-appear fixed inset-0 z-40 bg-scrim" />
        <RadixDialog.Content
          aria-describedby={undefined}
          {...goBack}
          className={classes("fixed inset-y-0 z-40 flex flex-col bg-bg shadow-pop outline-none", side === "right" ? "animate-slide right-0 w-[480px] max-w-full" : "animate-appear left-0 w-64 max-w-[84vw]")}
        >
          <RadixDialog.Title className="sr-only">{title}</RadixDialog.Title>
          {!bare && (
            <RadixDialog.Close asChild>
              <Button tone="ghost" size="sm" aria-label="Close" icon={<X />} className="absolute top-2.5 right-2.5 z-10" />
            </RadixDialog.Close>
          )}
          {children}
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

export interface MenuItem {
  label: ReactNode;
  icon?: ReactNode;
  onSelect?: () => void;
  danger?: boolean;
  disabled?: boolean;
  checked?: boolean;
  note?: ReactNode;
  separated?: boolean;
}

export function Menu({ trigger, items, align = "end" }: { trigger: ReactNode; items: (MenuItem | false | null | undefined)[]; align?: "start" | "end" }) {
  return (
    // Not modal: that would hide the page from screen readers while it still has the focus.
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align={align} sideOffset={4} collisionPadding={8} className="animate-appear z-50 max-h-[70vh] min-w-44 overflow-y-auto rounded-lg bg-bg p-1 shadow-pop">
          {items.filter((item): item is MenuItem => Boolean(item)).map((item, index) => {
            const look = classes(
              "flex h-8 items-center gap-2 rounded-md px-2 text-sm outline-none select-none data-[disabled]:opacity-45 data-[highlighted]:bg-hover [&_svg]:size-4 [&_svg]:text-faint",
              item.danger && "text-bad [&_svg]:text-bad",
            );
            const inside = (
              <>
                {item.checked !== undefined && <span className="flex size-4 items-center">{item.checked && <Check className="!text-accent" />}</span>}
                {item.icon}
                <span className="flex-1">{item.label}</span>
                {item.note && <span className="text-xs text-faint">{item.note}</span>}
              </>
            );
            return (
              <div key={index}>
                {item.separated && <DropdownMenu.Separator className="mx-1 my-1 h-px bg-line" />}
                {item.checked === undefined ? (
                  <DropdownMenu.Item disabled={item.disabled} onSelect={item.onSelect} className={look}>
                    {inside}
                  </DropdownMenu.Item>
                ) : (
                  <DropdownMenu.CheckboxItem
                    checked={item.checked}
                    disabled={item.disabled}
                    className={look}
                    onSelect={(event) => {
                      event.preventDefault();
                      item.onSelect?.();
                    }}
                  >
                    {inside}
                  </DropdownMenu.CheckboxItem>
                )}
              </div>
            );
          })}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

export function Popover({ label, trigger, children, align = "start", open, onOpenChange, className }: { label: string; trigger: ReactNode; children: ReactNode; align?: "start" | "center" | "end"; open?: boolean; onOpenChange?: (on: boolean) => void; className?: string }) {
  return (
    <RadixPopover.Root open={open} onOpenChange={onOpenChange}>
      <RadixPopover.Trigger asChild>{trigger}</RadixPopover.Trigger>
      <RadixPopover.Portal>
        <RadixPopover.Content aria-label={label} align={align} sideOffset={4} collisionPadding={8} className={classes("animate-appear z-50 max-w-[calc(100vw-16px)] rounded-lg bg-bg shadow-pop outline-none", className ?? "w-72 p-3")}>
          {children}
        </RadixPopover.Content>
      </RadixPopover.Portal>
    </RadixPopover.Root>
  );
}

export function Tabs({ tabs, value, onChange, label, end }: { tabs: { key: string; label: ReactNode; count?: number | null }[]; value: string; onChange: (key: string) => void; label: string; end?: ReactNode }) {
  const list = useRef<HTMLDivElement>(null);
  const move = (by: number) => {
    const at = tabs.findIndex((tab) => tab.key === value);
    const next = tabs[(at + by + tabs.length) % tabs.length];
    if (!next) return;
    onChange(next.key);
    list.current?.querySelector<HTMLButtonElement>(`[data-key="${next.key}"]`)?.focus();
  };
  return (
    <div className="flex items-center border-b">
      <div
        ref={list}
        role="tablist"
        aria-label={label}
        className="-mb-px flex min-w-0 flex-1 gap-4 overflow-x-auto px-4 [scrollbar-width:none] max-md:gap-3"
        onKeyDown={(event) => {
          if (event.key === "ArrowRight") move(1);
          if (event.key === "ArrowLeft") move(-1);
        }}
      >
        {tabs.map((tab) => (
          <button
            key={tab.key}
            type="button"
            role="tab"
            data-key={tab.key}
            aria-selected={tab.key === value}
            tabIndex={tab.key === value ? 0 : -1}
            onClick={() => onChange(tab.key)}
            className={classes(
              "flex h-9 shrink-0 items-center gap-1.5 border-b-2 font-medium whitespace-nowrap -outline-offset-2",
              tab.key === value ? "border-accent text-text" : "border-transparent text-muted hover:text-text",
            )}
          >
            {tab.label}
            {tab.count !== undefined && tab.count !== null && <span className="text-xs font-normal text-faint">{tab.count}</span>}
          </button>
        ))}
      </div>
      {end && <div className="flex shrink-0 items-center gap-2 pr-4">{end}</div>}
    </div>
  );
}

/** Segmented control. */
export function Segments<T extends string>({ options, value, onChange, label }: { options: { key: T; label: ReactNode }[]; value: T; onChange: (key: T) => void; label: string }) {
  return (
    <div role="group" aria-label={label} className="inline-flex h-7 w-fit shrink-0 rounded-md bg-sunken p-0.5 hairline">
      {options.map((option) => (
        <button
          key={option.key}
          type="button"
          aria-pressed={option.key === value}
          onClick={() => onChange(option.key)}
          className={classes("flex items-center gap-1 rounded-sm px-2 text-xs font-medium whitespace-nowrap [&_svg]:size-3.5", option.key === value ? "bg-bg text-text shadow-[0_0_0_1px_var(--line)]" : "text-muted hover:text-text")}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}

export function Kbd({ children }: { children: ReactNode }) {
  return <kbd className="inline-flex h-[18px] min-w-[18px] items-center justify-center rounded-sm bg-bg px-1 font-sans text-2xs text-muted shadow-[0_0_0_1px_var(--line)]">{children}</kbd>;
}

export function Copyable({ text, children, label, className }: { text: string; children?: ReactNode; label?: string; className?: string }) {
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      title={label ?? "Copy"}
      aria-label={`${label ?? "Copy"}: ${text.slice(0, 80)}`}
      className={classes("group/copy inline-flex max-w-full min-w-0 items-center gap-1 rounded-sm text-left hover:text-text", className)}
      onClick={(event) => {
        event.stopPropagation();
        void copy(text).then(() => {
          setDone(true);
          window.setTimeout(() => setDone(false), 1200);
        });
      }}
    >
      {children && <span className="truncate">{children}</span>}
      {done ? <Check className="size-3.5 shrink-0 text-ok" /> : <Copy className={classes("size-3.5 shrink-0 text-faint", children ? "opacity-0 group-hover/copy:opacity-100 group-focus-visible/copy:opacity-100" : "")} />}
    </button>
  );
}

export async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Over plain http pages have no clipboard API; copying a selection still works.
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function Ago({ at, className }: { at: string | number | null | undefined; className?: string }) {
  const now = useNow();
  const when = ms(at);
  if (when === null) return <span className="text-faint">–</span>;
  return (
    <time dateTime={new Date(when).toISOString()} title={absolute(when)} className={classes("whitespace-nowrap", className)}>
      {relative(when, now)}
    </time>
  );
}

export function Tag({ children, onClick, label }: { children: ReactNode; onClick?: () => void; label?: string }) {
  const look = "inline-flex h-5 max-w-40 items-center rounded-sm bg-sunken px-1.5 text-xs text-muted hairline";
  return onClick ? (
    <button type="button" title={label} className={classes(look, "hover:text-text")} onClick={(event) => { event.stopPropagation(); onClick(); }}>
      <span className="truncate">{children}</span>
    </button>
  ) : (
    <span className={look}>
      <span className="truncate">{children}</span>
    </span>
  );
}

export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={classes("animate-breathe rounded-sm bg-hover", className)} />;
}

export function Notice({ tone = "info", icon, children, action }: { tone?: "info" | "warn" | "bad" | "ok"; icon?: ReactNode; children: ReactNode; action?: ReactNode }) {
  const look = { info: "bg-info-soft text-info", warn: "bg-warn-soft text-warn", bad: "bg-bad-soft text-bad", ok: "bg-ok-soft text-ok" }[tone];
  return (
    <div className={classes("flex items-start gap-2 rounded-md px-3 py-2 [&>svg]:mt-0.5 [&>svg]:size-4 [&>svg]:shrink-0", look)}>
      {icon}
      <div className="min-w-0 flex-1 break-words">{children}</div>
      {action}
    </div>
  );
}

/** Calls `act` when scrolled into view, to load the next page of a list. */
export function Sentinel({ onSeen, root }: { onSeen: () => void; root?: Element | null }) {
  const place = useRef<HTMLDivElement>(null);
  const act = useRef(onSeen);
  act.current = onSeen;
  useEffect(() => {
    if (!place.current) return;
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && act.current(), { root, rootMargin: "400px" });
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [root]);
  return <div ref={place} className="h-px" />;
}
