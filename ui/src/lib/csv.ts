/** Rows as a file for spreadsheets (RFC 4180). */

import { stringify } from "@/api/exact-json";

/** A text that a spreadsheet would take for a formula gets an apostrophe before it. */
export function asCsv(columns: string[], rows: unknown[][]): string {
  const cell = (value: unknown) => {
    if (value === null || value === undefined) return "";
    const text = typeof value === "string" ? (/^[=+\-@\t\r]/.test(value) ? `'${value}` : value) : stringify(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
}
