/** Input for an IANA time zone. */

import { useId } from "react";
import { Input } from "./ui";

const zones: string[] = typeof Intl.supportedValuesOf === "function" ? ["UTC", ...Intl.supportedValuesOf("timeZone")] : ["UTC"];

/** The time zone of this browser. */
export const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function ZoneInput({ value, onChange, ...wires }: { value: string; onChange: (zone: string) => void; id?: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) {
  const list = useId();
  return (
    <>
      <Input {...wires} list={list} value={value} onChange={(event) => onChange(event.target.value)} />
      <datalist id={list}>
        {zones.map((zone) => (
          <option key={zone} value={zone} />
        ))}
      </datalist>
    </>
  );
}
