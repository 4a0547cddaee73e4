/** Base paths: everything before `/_/turbine/` is the prefix under which Turbine is mounted. */

const marker = "/_/turbine";

export function prefixOf(pathname: string): string {
  const at = pathname.indexOf(marker);
  return at < 0 ? "" : pathname.slice(0, at);
}

export const prefix = prefixOf(window.location.pathname);
export const basePath = prefix + marker;
export const apiPath = `${prefix}/api/pt/`;
