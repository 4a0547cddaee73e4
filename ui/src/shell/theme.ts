import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const watchers = new Set<() => void>();
let chosen: Theme = read();

function read(): Theme {
  try {
    const text = localStorage.getItem("turbine.theme");
    return text === "light" || text === "dark" ? text : "system";
  } catch {
    return "system";
  }
}

const system = window.matchMedia("(prefers-color-scheme: dark)");
system.addEventListener("change", apply);

function apply(): void {
  document.documentElement.classList.toggle("dark", chosen === "dark" || (chosen === "system" && system.matches));
  for (const watcher of watchers) watcher();
}

export function setTheme(theme: Theme): void {
  chosen = theme;
  try {
    if (theme === "system") localStorage.removeItem("turbine.theme");
    else localStorage.setItem("turbine.theme", theme);
  } catch {
    // No storage: the choice lasts as long as the page.
  }
  apply();
}

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export const useTheme = () => useSyncExternalStore(subscribe, () => chosen);
export const useIsDark = () => useSyncExternalStore(subscribe, () => document.documentElement.classList.contains("dark"));
