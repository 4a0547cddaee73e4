/** CSV export (RFC 4180). */

import { stringify } from "@/api/exact-json";

/** Texts that a spreadsheet would run as a formula get a leading apostrophe. */
export function asCsv(columns: string[], rows: unknown[][]): string {
  const cell = (value: unknown) => {
    if (value === null || value === undefined) return "";
    const text = typeof value === "string" ? (/^[=+\-@\t\r]/.test(value) ? `'${value}` : value) : stringify(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
}
