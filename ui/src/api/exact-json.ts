/** JSON in which a number that a double would change stays a `LosslessNumber`, and is written back as it came. */

import { isSafeNumber, LosslessNumber, parse as parseLossless, stringify as stringifyLossless } from "lossless-json";

export { LosslessNumber };

export type Json = null | boolean | number | string | LosslessNumber | Json[] | { [key: string]: Json };

// Sixteen digits in a row (a point may be among them) or an exponent of three digits; all else JSON.parse reads faster.
const suspicious = /(?:\d\.?){16}|\d[eE][+-]?\d{3}/;

export const toNumber = (text: string) => (isSafeNumber(text) ? Number(text) : new LosslessNumber(text));

export const parse = (text: string): unknown => (suspicious.test(text) ? parseExactly(text) : JSON.parse(text));

export const stringify = (value: unknown, indent = 0): string => stringifyLossless(value, null, indent) ?? "null";

/** As `parse`, but an error names line and column. */
export function parseTyped(text: string): unknown {
  try {
    return parseExactly(text);
  } catch (error) {
    const at = /position (\d+)$/.exec((error as Error).message);
    if (!at) throw error;
    const position = Number(at[1]);
    if (position >= text.length) throw new SyntaxError("the text ends too early");
    const lines = text.slice(0, position).split("\n");
    throw new SyntaxError(`unexpected ${JSON.stringify(text[position])} at line ${lines.length}, column ${lines.at(-1)!.length + 1}`);
  }
}

// Like JSON.parse: of a key that comes twice the last value counts.
const parseExactly = (text: string) => parseLossless(text, null, { parseNumber: toNumber, onDuplicateKey: ({ newValue }) => newValue });
