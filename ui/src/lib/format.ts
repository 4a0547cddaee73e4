/** Formats numbers, sizes and names. */

export function classes(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = count / 1024;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const grouped = new Intl.NumberFormat("en");
export const count = (value: number) => grouped.format(value);
export const percent = (share: number) => `${share >= 0.9995 || share === 0 ? Math.round(share * 100) : (share * 100).toFixed(1)}%`;
export const plural = (value: number, item: string, many = `${item}s`) => `${count(value)} ${value === 1 ? item : many}`;

export function many(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** The last segment of `module:qualname` or `a.b.c`. */
export function shortName(name: string): string {
  return name.slice(Math.max(name.lastIndexOf(":"), name.lastIndexOf(".")) + 1) || name;
}

export function download(name: string, text: string, type = "application/json"): void {
  const link = document.createElement("a");
  const url = URL.createObjectURL(new Blob([text], { type }));
  link.href = url;
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
