/** Values kept in localStorage; where it is blocked (private windows), until the page is closed. */

import { useCallback, useState } from "react";

const memory = new Map<string, string>();

export function readStored<T>(name: string, fallback: T): T {
  try {
    const text = localStorage.getItem(`turbine.${name}`) ?? memory.get(name);
    return text === undefined || text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

export function writeStored(name: string, value: unknown): void {
  const text = JSON.stringify(value);
  memory.set(name, text);
  try {
    localStorage.setItem(`turbine.${name}`, text);
  } catch {
    // Still in memory.
  }
}

export function useStored<T>(name: string, fallback: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => readStored(name, fallback));
  const set = useCallback(
    (next: T) => {
      writeStored(name, next);
      setValue(next);
    },
    [name],
  );
  return [value, set];
}
