/** Table with virtual rows and keyboard navigation (j, k, Enter). */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { classes } from "@/lib/format";
import { usePhone } from "@/lib/media-query";
import { useScrollPosition } from "@/lib/scroll-position";
import { useKeys } from "@/shell/shortcuts";

export interface Column<T> {
  key: string;
  head: ReactNode;
  cell: (row: T) => ReactNode;
  /** CSS grid track: `120px`, `minmax(160px, 2fr)`. */
  width: string;
  end?: boolean;
  /** Hidden on a phone. */
  wide?: boolean;
}

interface TableProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  onOpen?: (row: T) => void;
  onToggle?: (row: T) => void;
  rowHeight?: number;
  /** Renders a row on a phone, instead of the cells. */
  phone?: (row: T) => ReactNode;
  phoneHeight?: number;
  foot?: ReactNode;
  selected?: (row: T) => boolean;
  /** Rows shown dimmed. */
  quiet?: (row: T) => boolean;
  onHover?: (on: boolean) => void;
  /** Grows with the rows instead of scrolling. */
  inline?: boolean;
  scroller?: (element: HTMLDivElement | null) => void;
}

export function Table<T>({ label, columns, rows, id, onOpen, onToggle, rowHeight = 36, phone, phoneHeight = 64, foot, selected, quiet, onHover, inline, scroller }: TableProps<T>) {
  const isPhone = usePhone();
  const frame = useRef<HTMLDivElement | null>(null);
  const [at, setAt] = useState<string | null>(null);
  const stacked = isPhone && phone !== undefined;
  const shown = isPhone ? columns.filter((column) => !column.wide) : columns;
  const height = stacked ? phoneHeight : rowHeight;
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => frame.current, estimateSize: () => height, overscan: 12, enabled: !inline, getItemKey: (index) => id(rows[index]!) });
  useEffect(() => virtual.measure(), [height, virtual]);
  useScrollPosition(frame, label, !inline);

  const move = (by: number) => {
    if (rows.length === 0) return;
    const current = rows.findIndex((row) => id(row) === at);
    const next = Math.min(rows.length - 1, Math.max(0, current < 0 ? (by > 0 ? 0 : rows.length - 1) : current + by));
    setAt(id(rows[next]!));
    if (inline) frame.current?.querySelector(`[data-row="${next}"]`)?.scrollIntoView({ block: "nearest" });
    else virtual.scrollToIndex(next);
  };
  const current = rows.find((row) => id(row) === at);
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ...(current && onOpen ? { Enter: () => onOpen(current) } : {}),
    ...(current && onToggle ? { x: () => onToggle(current) } : {}),
    ...(current ? { Escape: () => setAt(null) } : {}),
  });

  const template = shown.map((column) => column.width).join(" ");
  const line = (row: T, index: number, place?: { start: number }) => {
    const isAt = id(row) === at;
    return (
      <div
        key={id(row)}
        role="row"
        aria-rowindex={index + 2}
        data-row={index}
        data-current={isAt || undefined}
        className={classes(
          "grid items-center border-b px-4 gap-x-4",
          place && "absolute inset-x-0 top-0",
          onOpen && "hover:bg-hover",
          quiet?.(row) && "bg-sunken/60",
          selected?.(row) && "bg-selected hover:bg-selected",
          isAt && "shadow-[inset_2px_0_0_var(--accent)] bg-hover",
        )}
        style={{ gridTemplateColumns: stacked ? "minmax(0, 1fr)" : template, height: inline && stacked ? undefined : height, minHeight: height, transform: place && `translateY(${place.start}px)` }}
        onClick={(event) => {
          if (!onOpen || (event.target as HTMLElement).closest("a, button, input, select, [role=checkbox]")) return;
          if (window.getSelection()?.toString()) return;
          onOpen(row);
        }}
      >
        {stacked ? (
          <div role="cell" className="min-w-0">
            {phone(row)}
          </div>
        ) : (
          shown.map((column) => (
            <div key={column.key} role="cell" className={classes("min-w-0 truncate", column.end && "text-right")}>
              {column.cell(row)}
            </div>
          ))
        )}
      </div>
    );
  };

  return (
    <div
      ref={(element) => {
        frame.current = element;
        scroller?.(element);
      }}
      tabIndex={0}
      role="region"
      aria-label={label}
      className={classes("relative", inline ? "overflow-x-auto" : "scroll-fade min-h-0 flex-1 overflow-auto -outline-offset-2")}
      onMouseEnter={() => onHover?.(true)}
      onMouseLeave={() => onHover?.(false)}
    >
      <div role="table" aria-label={label} aria-rowcount={rows.length + 1} className={classes(!stacked && "min-w-fit")}>
        <div role="rowgroup" className={classes(stacked && "sr-only", !inline && "sticky top-0 z-10 bg-bg")}>
          <div role="row" className="grid h-8 items-center gap-x-4 border-b px-4 text-xs font-medium text-faint" style={{ gridTemplateColumns: template }}>
            {shown.map((column) => (
              <div key={column.key} role="columnheader" className={classes("min-w-0 truncate", column.end && "text-right")}>
                {column.head}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" className="relative" style={inline ? undefined : { height: virtual.getTotalSize() }}>
          {inline ? rows.map((row, index) => line(row, index)) : virtual.getVirtualItems().map((item) => (rows[item.index] ? line(rows[item.index]!, item.index, item) : null))}
        </div>
      </div>
      {foot}
    </div>
  );
}
