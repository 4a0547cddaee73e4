/** Routes. The address holds the whole state of a page, so it can be shared. */

import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { basePath } from "./api/base-path";
import { onSignedOut } from "./api/client";
import { queryClient, sessionQuery } from "./api/session";
import { Failed } from "./components/states";
import { LoginPage } from "./pages/login";
import { NotFoundPage } from "./pages/not-found";
import { RunPage } from "./pages/run/page";
import { RunsPage } from "./pages/runs/page";
import { Frame } from "./shell/frame";

/** Search parameters; repeated names become lists. */
export type Search = Record<string, string | string[] | undefined>;

function parseSearch(text: string): Search {
  const search: Search = {};
  for (const [key, value] of new URLSearchParams(text)) {
    const before = search[key];
    search[key] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
  }
  return search;
}

function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    for (const item of Array.isArray(value) ? value : [value]) if (item !== undefined && item !== null && item !== "") params.append(key, String(item));
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

const validateSearch = (search: Record<string, unknown>): Search => search as Search;

const root = createRootRoute({ notFoundComponent: NotFoundPage, validateSearch });

const login = createRoute({ getParentRoute: () => root, path: "/login", component: LoginPage });
const setup = createRoute({ getParentRoute: () => root, path: "/setup", component: lazyRouteComponent(() => import("./pages/setup"), "SetupPage") });

const decide = createRoute({ getParentRoute: () => root, path: "/decide", component: lazyRouteComponent(() => import("./pages/decide"), "DecidePage") });

const frame = createRoute({
  getParentRoute: () => root,
  id: "frame",
  component: Frame,
  beforeLoad: async ({ location }) => {
    const session = await queryClient.ensureQueryData(sessionQuery);
    if (session.authenticated || session.auth === "none") return;
    if (session.needs_setup) throw redirect({ to: "/setup" });
    throw redirect({ to: "/login", search: { next: location.href } });
  },
});

const at = <Path extends string>(path: Path, component: Parameters<typeof createRoute>[0]["component"]) => createRoute({ getParentRoute: () => frame, path, component });

const start = createRoute({
  getParentRoute: () => frame,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/runs" });
  },
});

const routes = root.addChildren([
  login,
  setup,
  decide,
  frame.addChildren([
    start,
    at("/runs", RunsPage),
    at("/runs/$id", RunPage),
    at("/open", lazyRouteComponent(() => import("./pages/run/open"), "OpenPage")),
    at("/start", lazyRouteComponent(() => import("./pages/start"), "StartPage")),
    at("/approvals", lazyRouteComponent(() => import("./pages/approvals"), "ApprovalsPage")),
    at("/errors", lazyRouteComponent(() => import("./pages/errors"), "ErrorsPage")),
    at("/metrics", lazyRouteComponent(() => import("./pages/metrics"), "MetricsPage")),
    at("/calendar", lazyRouteComponent(() => import("./pages/calendar"), "CalendarPage")),
    at("/logs", lazyRouteComponent(() => import("./pages/logs"), "LogsPage")),
    at("/workflows", lazyRouteComponent(() => import("./pages/workflows"), "WorkflowsPage")),
    at("/workflows/$name", lazyRouteComponent(() => import("./pages/workflows"), "WorkflowPage")),
    at("/queues", lazyRouteComponent(() => import("./pages/queues"), "QueuesPage")),
    at("/queues/$name", lazyRouteComponent(() => import("./pages/queues"), "QueuePage")),
    at("/schedules", lazyRouteComponent(() => import("./pages/schedules"), "SchedulesPage")),
    at("/schedules/$id", lazyRouteComponent(() => import("./pages/schedules"), "SchedulePage")),
    at("/products", lazyRouteComponent(() => import("./pages/products"), "ProductsPage")),
    at("/kv", lazyRouteComponent(() => import("./pages/kv"), "KvPage")),
    at("/notifications", lazyRouteComponent(() => import("./pages/notifications"), "NotificationsPage")),
    at("/webhooks", lazyRouteComponent(() => import("./pages/webhooks"), "WebhooksPage")),
    at("/deliveries", lazyRouteComponent(() => import("./pages/deliveries"), "DeliveriesPage")),
    at("/executors", lazyRouteComponent(() => import("./pages/executors"), "ExecutorsPage")),
    at("/sql", lazyRouteComponent(() => import("./pages/sql"), "SqlPage")),
    at("/api", lazyRouteComponent(() => import("./pages/explorer"), "ExplorerPage")),
    at("/audit", lazyRouteComponent(() => import("./pages/audit"), "AuditPage")),
    at("/settings", lazyRouteComponent(() => import("./pages/settings"), "SettingsPage")),
  ]),
]);

export const router = createRouter({
  routeTree: routes,
  basepath: basePath,
  parseSearch,
  stringifySearch,
  scrollRestoration: false,
  defaultErrorComponent: ({ error, reset }) => <Failed error={error} onRetry={reset} />,
});

onSignedOut(() => {
  if (router.state.location.pathname === "/login") return;
  const next = router.state.location.href;
  queryClient.clear();
  void router.navigate({ to: "/login", search: { next } });
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
