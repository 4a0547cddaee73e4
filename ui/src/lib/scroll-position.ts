/** Restores the scroll position of a list on back navigation; a new visit starts at the top. */

import { useRouter } from "@tanstack/react-router";
import { type RefObject, useLayoutEffect } from "react";

const entriesMost = 200;
/** Keyed by history entry and list name. */
const positions = new Map<string, number>();

export function useScrollPosition(frame: RefObject<HTMLElement | null>, label: string, isOn: boolean): void {
  const { history } = useRouter();
  useLayoutEffect(() => {
    const box = frame.current;
    if (!box || !isOn) return;
    const entry = () => `${history.location.state.__TSR_key} ${label}`;
    const before = positions.get(entry());
    if (before !== undefined) box.scrollTop = before;
    const save = () => {
      positions.set(entry(), box.scrollTop);
      if (positions.size > entriesMost) positions.delete(positions.keys().next().value!);
    };
    box.addEventListener("scroll", save, { passive: true });
    return () => box.removeEventListener("scroll", save);
    // Only once; afterwards the user scrolls.
  }, [frame, history, isOn]); // eslint-disable-line react-hooks/exhaustive-deps
}
