/** Scatter plot of runs: start time and duration. Drag to zoom. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { get } from "@/api/client";
import type { RunStatus } from "@/api/types";
import { statusTone } from "@/components/status";
import { plural } from "@/lib/format";
import { statusLabels } from "@/lib/labels";
import { clock, duration, short } from "@/lib/time";
import { useIsDark } from "@/shell/theme";
import { asQuery, type Filters } from "./filters";

type Dot = [at: number, duration: number | null, status: RunStatus, id: string];

const height = 104;
const pad = { left: 16, right: 56, top: 10, bottom: 18 };
const steps = [10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000, 604_800_000];

export function Scatter({ filters, onZoom }: { filters: Filters; onZoom: (after: number, before: number) => void }) {
  const navigate = useNavigate();
  const isDark = useIsDark();
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState<Dot | null>(null);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const dots = useQuery({
    queryKey: ["scatter", filters],
    queryFn: ({ signal }) => get<{ items: Dot[] }>("scatter", asQuery(filters), signal),
    placeholderData: keepPreviousData,
    staleTime: 5000,
  }).data?.items;

  useEffect(() => {
    if (!frame.current) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(entry.contentRect.width));
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);

  const scale = useMemo(() => {
    const now = Date.now();
    const times = dots?.map((dot) => dot[0]) ?? [];
    let from = filters.after ? Date.parse(filters.after) : Math.min(now - 60_000, ...times);
    let to = filters.before ? Date.parse(filters.before) : now;
    if (to - from < 1000) [from, to] = [from - 500, to + 500];
    const lengths = dots?.map((dot) => Math.max(1, dot[1] ?? now - dot[0])) ?? [];
    const low = Math.log10(Math.max(1, Math.min(100, ...lengths)));
    const high = Math.log10(Math.max(1000, ...lengths)) + 0.05;
    const wide = Math.max(1, width - pad.left - pad.right);
    const tall = height - pad.top - pad.bottom;
    return {
      from,
      to,
      low,
      high,
      x: (at: number) => pad.left + ((at - from) / (to - from)) * wide,
      y: (ms: number) => pad.top + tall - ((Math.log10(Math.max(1, ms)) - low) / (high - low)) * tall,
      at: (x: number) => from + ((Math.min(width - pad.right, Math.max(pad.left, x)) - pad.left) / wide) * (to - from),
    };
  }, [dots, width, filters.after, filters.before]);

  useEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen || width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const look = getComputedStyle(document.documentElement);
    const colour = (name: string) => look.getPropertyValue(`--${name}`).trim();
    pen.font = `10px ${getComputedStyle(document.body).fontFamily}`;
    pen.fillStyle = colour("faint");
    pen.strokeStyle = colour("line");
    pen.lineWidth = 1;
    let lastY = Number.POSITIVE_INFINITY;
    for (const step of steps) {
      const y = Math.round(scale.y(step)) + 0.5;
      if (y < pad.top - 4 || y > height - pad.bottom + 2 || lastY - y < 18) continue;
      lastY = y;
      pen.beginPath();
      pen.moveTo(pad.left, y);
      pen.lineTo(width - pad.right, y);
      pen.stroke();
      pen.fillText(duration(step).replace(/\.0+ s/, " s").replace(" 00s", "").replace(" 00m", "").replace(" 0h", ""), width - pad.right + 8, y + 3.5);
    }
    const span = scale.to - scale.from;
    const marks = Math.max(2, Math.min(8, Math.floor(width / 150)));
    for (let mark = 0; mark <= marks; mark++) {
      const at = scale.from + (span * mark) / marks;
      const text = span > 86_400_000 ? short(at) : clock(at);
      const wide = pen.measureText(text).width;
      pen.fillText(text, Math.min(width - pad.right - wide, Math.max(pad.left, scale.x(at) - wide / 2)), height - 5);
    }
    const now = Date.now();
    for (const [at, ms, status] of [...(dots ?? [])].reverse()) {
      pen.fillStyle = colour(`${statusTone[status]}-fill`);
      const x = scale.x(at);
      const y = scale.y(ms ?? now - at);
      pen.globalAlpha = 0.85;
      pen.beginPath();
      if (statusTone[status] === "bad") pen.rect(x - 2.5, y - 2.5, 5, 5);
      else pen.arc(x, y, 2.5, 0, 7);
      if (ms === null) {
        pen.strokeStyle = pen.fillStyle;
        pen.lineWidth = 1.5;
        pen.stroke();
      } else pen.fill();
    }
    pen.globalAlpha = 1;
    if (hover) {
      pen.strokeStyle = colour("text");
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.arc(scale.x(hover[0]), scale.y(hover[1] ?? now - hover[0]), 5, 0, 7);
      pen.stroke();
    }
  }, [dots, scale, width, hover, isDark]);

  const nearest = (x: number, y: number): Dot | null => {
    const now = Date.now();
    let best: Dot | null = null;
    let least = 14 ** 2;
    for (const dot of dots ?? []) {
      const apart = (scale.x(dot[0]) - x) ** 2 + (scale.y(dot[1] ?? now - dot[0]) - y) ** 2;
      if (apart < least) [best, least] = [dot, apart];
    }
    return best;
  };
  const place = (event: React.PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  return (
    <div
      ref={frame}
      role="img"
      aria-label={`Durations of the latest ${plural(dots?.length ?? 0, "run")}`}
      className="relative shrink-0 cursor-crosshair touch-pan-y border-b select-none"
      style={{ height }}
      onPointerDown={(event) => {
        if (event.button !== 0 || event.pointerType === "touch") return;
        event.currentTarget.setPointerCapture(event.pointerId);
        const { x } = place(event);
        setDrag({ from: x, to: x });
      }}
      onPointerMove={(event) => {
        const { x, y } = place(event);
        if (drag) setDrag({ ...drag, to: x });
        else setHover(nearest(x, y));
      }}
      onPointerLeave={() => setHover(null)}
      onPointerUp={(event) => {
        const { x, y } = place(event);
        if (drag && Math.abs(drag.to - drag.from) > 6) onZoom(Math.min(scale.at(drag.from), scale.at(drag.to)), Math.max(scale.at(drag.from), scale.at(drag.to)));
        else {
          const dot = nearest(x, y);
          if (dot) void navigate({ to: "/runs/$id", params: { id: dot[3] } });
        }
        setDrag(null);
      }}
    >
      <canvas ref={canvas} className="absolute inset-0 size-full" aria-hidden />
      {drag && Math.abs(drag.to - drag.from) > 2 && (
        <div className="pointer-events-none absolute inset-y-0 border-x border-accent bg-accent/10" style={{ left: Math.min(drag.from, drag.to), width: Math.abs(drag.to - drag.from) }} />
      )}
      {hover && !drag && (
        <div
          className="pointer-events-none absolute z-20 rounded-md bg-text px-2 py-1 text-xs whitespace-nowrap text-bg"
          style={{ left: Math.min(width - 220, Math.max(8, scale.x(hover[0]) + 10)), top: Math.max(4, scale.y(hover[1] ?? Date.now() - hover[0]) - 12) }}
        >
          {statusLabels[hover[2]]} · {duration(hover[1] ?? Date.now() - hover[0])} · {short(hover[0])}
        </div>
      )}
    </div>
  );
}
