/** The pages there are, in the order in which the sidebar and the palette show them. */

import { Bell, Boxes, Braces, CalendarDays, ChartColumn, CircleAlert, Clock, Cpu, DatabaseZap, FileBox, Hand, KeyRound, Layers, ListTree, Logs, type LucideIcon, ScrollText, Send, Settings, Webhook, Workflow } from "lucide-react";
import type { Role } from "@/api/types";
import { navText } from "@/text";

export interface Place {
  to: string;
  label: string;
  icon: LucideIcon;
  role?: Role;
}

export const places: { group: string | null; items: Place[] }[] = [
  {
    group: null,
    items: [
      { to: "/runs", label: navText.runs, icon: ListTree },
      { to: "/approvals", label: navText.approvals, icon: Hand },
      { to: "/errors", label: navText.errors, icon: CircleAlert },
      { to: "/metrics", label: navText.metrics, icon: ChartColumn },
      { to: "/calendar", label: navText.calendar, icon: CalendarDays },
      { to: "/logs", label: navText.logs, icon: Logs },
    ],
  },
  {
    group: navText.groupWork,
    items: [
      { to: "/workflows", label: navText.workflows, icon: Workflow },
      { to: "/queues", label: navText.queues, icon: Layers },
      { to: "/schedules", label: navText.schedules, icon: Clock },
      { to: "/products", label: navText.products, icon: FileBox },
      { to: "/kv", label: navText.kv, icon: Boxes },
    ],
  },
  {
    group: navText.groupOut,
    items: [
      { to: "/notifications", label: navText.notifications, icon: Bell },
      { to: "/webhooks", label: navText.webhooks, icon: Webhook },
      { to: "/deliveries", label: navText.deliveries, icon: Send },
    ],
  },
  {
    group: navText.groupSystem,
    items: [
      { to: "/executors", label: navText.executors, icon: Cpu },
      { to: "/audit", label: navText.audit, icon: ScrollText, role: "admin" },
      { to: "/sql", label: navText.sql, icon: DatabaseZap, role: "admin" },
      { to: "/api", label: navText.api, icon: Braces },
      { to: "/settings", label: navText.settings, icon: Settings },
    ],
  },
];

export const allPlaces: Place[] = places.flatMap((group) => group.items);
export const passwordIcon = KeyRound;
