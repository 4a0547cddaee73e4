/** The HTTP client: JSON in, JSON out, errors as `Problem`. */

import { apiPath } from "./base-path";
import { parse, stringify } from "./exact-json";

export interface FieldError {
  path: (string | number)[];
  message: string;
  type: string;
}

/** An error response (RFC 9457); `status` is 0 when the server cannot be reached. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code?: string | number,
    readonly errors: FieldError[] = [],
    readonly retryAfter?: number,
  ) {
    super(detail || title);
  }
}

export type Query = Record<string, string | number | boolean | null | undefined | readonly (string | number)[]>;

let csrf: string | undefined;
let signedOut: (() => void) | undefined;
let refused: (() => void) | undefined;

export function setCsrf(token: string | undefined): void {
  csrf = token;
}

export function onSignedOut(listener: () => void): void {
  signedOut = listener;
}

/** Called when the server forbids a change: the role may have changed since the session was read. */
export function onForbidden(listener: () => void): void {
  refused = listener;
}

export function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === "") continue;
    for (const item of Array.isArray(value) ? value : [value]) parameters.append(key, String(item));
  }
  const text = parameters.toString();
  return apiPath + path + (text ? `?${text}` : "");
}

export function part(id: string | number): string {
  return encodeURIComponent(String(id));
}

export async function request<T>(method: string, path: string, options: { query?: Query; body?: unknown; signal?: AbortSignal } = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  let response: Response;
  try {
    response = await fetch(address(path, options.query), {
      method,
      headers,
      credentials: "same-origin",
      body: options.body === undefined ? undefined : stringify(options.body),
      signal: options.signal,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "");
  }
  const text = await response.text();
  if (response.ok) return (text ? parse(text) : undefined) as T;
  if (response.status === 401 && !path.startsWith("login") && !path.startsWith("password")) signedOut?.();
  if (response.status === 403 && method !== "GET" && csrf !== undefined) {
    if (headers["X-CSRF-Token"] !== (await freshCsrf())) return request(method, path, options);
    refused?.();
  }
  throw problemOf(response, text);
}

/** Reads the CSRF token again: another tab may have signed in since. */
async function freshCsrf(): Promise<string | undefined> {
  const before = csrf;
  csrf = undefined; // prevents another retry in this request
  const session = await request<{ csrf?: string | null }>("GET", "session").catch(() => null);
  csrf = session?.csrf ?? before;
  return csrf;
}

export interface Raw {
  status: number;
  text: string;
  ms: number;
}

/** Sends a request unchanged and returns the raw response, for the API explorer. */
export async function sendRaw(method: string, path: string, body: string | undefined): Promise<Raw> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  const began = performance.now();
  try {
    const response = await fetch(apiPath + path, { method, headers, credentials: "same-origin", body });
    return { status: response.status, text: await response.text(), ms: performance.now() - began };
  } catch {
    throw new Problem(0, "unreachable", "");
  }
}

function problemOf(response: Response, text: string): Problem {
  let body: Record<string, unknown> = {};
  try {
    body = parse(text) as Record<string, unknown>;
  } catch {
    // Not JSON, such as the error page of a proxy: the status must do.
  }
  const retry = Number(response.headers.get("Retry-After"));
  return new Problem(
    response.status,
    typeof body.title === "string" ? body.title : response.statusText,
    typeof body.detail === "string" ? body.detail : "",
    body.code as string | number | undefined,
    Array.isArray(body.errors) ? (body.errors as FieldError[]) : [],
    Number.isFinite(retry) && retry > 0 ? retry : undefined,
  );
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal) => request<T>("GET", path, { query, signal });
export const post = <T>(path: string, body: unknown = {}) => request<T>("POST", path, { body });
export const patch = <T>(path: string, body: unknown) => request<T>("PATCH", path, { body });
export const put = <T>(path: string, body: unknown) => request<T>("PUT", path, { body });
export const remove = <T = void>(path: string) => request<T>("DELETE", path);
