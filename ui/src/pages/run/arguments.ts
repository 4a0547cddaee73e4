/** Arguments for display: positional and keyword, without empty parts. */
export function simple(input: unknown): unknown {
  if (input === null || typeof input !== "object") return input ?? null;
  const { args, kwargs, ...rest } = input as { args?: unknown[]; kwargs?: Record<string, unknown> };
  if (Object.keys(rest).length > 0 || !Array.isArray(args) || !kwargs) return input;
  if (Object.keys(kwargs).length === 0) return args.length === 1 ? args[0] : args;
  return args.length === 0 ? kwargs : input;
}
