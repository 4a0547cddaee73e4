/** Single-key shortcuts, ignored while typing. */

import { useEffect, useRef } from "react";

type Keys = Record<string, (event: KeyboardEvent) => void>;

const layers: { current: Keys }[] = [];

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName));
}

window.addEventListener("keydown", (event) => {
  const command = (event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k";
  const name = command ? "mod+k" : event.key;
  if (!command) {
    if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target)) return;
    // Radix handles keys while a dialog or menu is open; Enter belongs to the focused control.
    if (document.querySelector("[role=dialog], [role=menu]")) return;
    if (name === "Enter" && event.target instanceof HTMLElement && event.target.closest("a, button, [role=tab], [role=checkbox]")) return;
  }
  // The most recent layer with the key handles it: Escape closes a drawer before it reaches the page.
  for (let at = layers.length - 1; at >= 0; at--) {
    const act = layers[at]!.current[name];
    if (!act) continue;
    event.preventDefault();
    act(event);
    return;
  }
});

export function useKeys(keys: Keys): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    layers.push(latest);
    return () => {
      layers.splice(layers.indexOf(latest), 1);
    };
  }, []);
}
