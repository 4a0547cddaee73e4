/**
 * JSON that keeps what JavaScript's numbers cannot hold: a number whose digits a double would change becomes an
 * `ExactNumber` with its text, and is written back as that text.
 */

export class ExactNumber {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
  toJSON(): never {
    throw new Error("ExactNumber must be written by stringify() of this module");
  }
}

export type Json = null | boolean | number | string | ExactNumber | Json[] | { [key: string]: Json };

// Sixteen digits in a row (a point may stand among them), or an exponent of three digits: only then is care needed.
const suspicious = /(?:\d\.?){16}|\d[eE][+-]?\d{3}/;

export function parse(text: string): unknown {
  return suspicious.test(text) ? new Parser(text).document() : JSON.parse(text);
}

export function stringify(value: unknown, indent = 0): string {
  return write(value, indent, "");
}

export function isExact(text: string): boolean {
  const number = Number(text);
  if (!Number.isFinite(number)) return false;
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(number);
  // A double keeps 17 significant digits at most, and its shortest text has those that count.
  const digits = text.replace(/[eE].*$/, "").replace(/\D/g, "").replace(/^0+/, "");
  return digits.length <= 17;
}

function write(value: unknown, indent: number, margin: string): string {
  if (value instanceof ExactNumber) return value.text;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const inner = indent ? margin + " ".repeat(indent) : "";
  const open = indent ? `\n${inner}` : "";
  const close = indent ? `\n${margin}` : "";
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[${open}${value.map((item) => write(item, indent, inner)).join(`,${open}`)}${close}]`;
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.length === 0) return "{}";
  const colon = indent ? ": " : ":";
  return `{${open}${entries
    .map(([key, item]) => JSON.stringify(key) + colon + write(item, indent, inner))
    .join(`,${open}`)}${close}}`;
}

const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const stringToken = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const space = /[ \t\n\r]*/y;

class Parser {
  private at = 0;
  constructor(private readonly text: string) {}

  document(): unknown {
    const value = this.value();
    this.skip();
    if (this.at < this.text.length) this.fail();
    return value;
  }

  private value(): unknown {
    this.skip();
    switch (this.text[this.at]) {
      case "{":
        return this.object();
      case "[":
        return this.array();
      case '"':
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private object(): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    this.at++;
    if (this.takes("}")) return found;
    do {
      this.skip();
      const key = this.string();
      if (!this.takes(":")) this.fail();
      // `__proto__` as a plain key: assignment would set the prototype instead.
      Object.defineProperty(found, key, { value: this.value(), enumerable: true, writable: true, configurable: true });
    } while (this.takes(","));
    if (!this.takes("}")) this.fail();
    return found;
  }

  private array(): unknown[] {
    const found: unknown[] = [];
    this.at++;
    if (this.takes("]")) return found;
    do found.push(this.value());
    while (this.takes(","));
    if (!this.takes("]")) this.fail();
    return found;
  }

  private string(): string {
    return JSON.parse(this.token(stringToken)) as string;
  }

  private number(): number | ExactNumber {
    const text = this.token(numberToken);
    return isExact(text) ? Number(text) : new ExactNumber(text);
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail();
    this.at += word.length;
    return value;
  }

  private token(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) this.fail();
    this.at = pattern.lastIndex;
    return found[0];
  }

  private takes(sign: string): boolean {
    this.skip();
    if (this.text[this.at] !== sign) return false;
    this.at++;
    return true;
  }

  private skip(): void {
    space.lastIndex = this.at;
    space.exec(this.text);
    this.at = space.lastIndex;
  }

  private fail(): never {
    const place = this.at;
    const line = this.text.slice(0, place).split("\n").length;
    const column = place - this.text.lastIndexOf("\n", place - 1);
    throw new SyntaxError(
      place >= this.text.length ? `the text ends too early` : `unexpected ${JSON.stringify(this.text[place])} at line ${line}, column ${column}`,
    );
  }
}

/** As `parse`, but always with a message that names line and column. */
export function parseTyped(text: string): unknown {
  return new Parser(text).document();
}
