/** The window title: the page and the number of open approvals. */

import { useEffect } from "react";

let waiting = 0;
let page = "";

function write(): void {
  document.title = `${waiting > 0 ? `(${waiting}) ` : ""}${page ? `${page} · ` : ""}Turbine`;
}

export function useTitleCount(count: number): void {
  useEffect(() => {
    waiting = count;
    write();
  }, [count]);
}

export function useTitle(title: string): void {
  useEffect(() => {
    page = title;
    write();
  }, [title]);
}
