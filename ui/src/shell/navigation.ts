/** The pages of the sidebar and the palette, in order. */

import { Bell, Boxes, Braces, CalendarDays, ChartColumn, CircleAlert, Clock, Cpu, DatabaseZap, FileBox, Hand, KeyRound, Layers, ListTree, Logs, type LucideIcon, ScrollText, Send, Settings, Webhook, Workflow } from "lucide-react";
import type { Role } from "@/api/types";

export interface NavItem {
  to: string;
  label: string;
  icon: LucideIcon;
  role?: Role;
}

export const navGroups: { group: string | null; items: NavItem[] }[] = [
  {
    group: null,
    items: [
      { to: "/runs", label: "Runs", icon: ListTree },
      { to: "/approvals", label: "Approvals", icon: Hand },
      { to: "/errors", label: "Errors", icon: CircleAlert },
      { to: "/metrics", label: "Metrics", icon: ChartColumn },
      { to: "/calendar", label: "Calendar", icon: CalendarDays },
      { to: "/logs", label: "Logs", icon: Logs },
    ],
  },
  {
    group: "Work",
    items: [
      { to: "/workflows", label: "Workflows", icon: Workflow },
      { to: "/queues", label: "Queues", icon: Layers },
      { to: "/schedules", label: "Schedules", icon: Clock },
      { to: "/products", label: "Products", icon: FileBox },
      { to: "/kv", label: "KV store", icon: Boxes },
    ],
  },
  {
    group: "Outgoing",
    items: [
      { to: "/notifications", label: "Notifications", icon: Bell },
      { to: "/webhooks", label: "Webhooks", icon: Webhook },
      { to: "/deliveries", label: "Deliveries", icon: Send },
    ],
  },
  {
    group: "System",
    items: [
      { to: "/executors", label: "Executors", icon: Cpu },
      { to: "/audit", label: "Audit log", icon: ScrollText, role: "admin" },
      { to: "/sql", label: "SQL", icon: DatabaseZap, role: "admin" },
      { to: "/api", label: "API", icon: Braces },
      { to: "/settings", label: "Settings", icon: Settings },
    ],
  },
];

export const navItems: NavItem[] = navGroups.flatMap((group) => group.items);
export const passwordIcon = KeyRound;
