/** Apprise URL builders for popular services. */

export interface ServicePart {
  key: string;
  label: string;
  example?: string;
  secret?: boolean;
  optional?: boolean;
}

export interface Service {
  key: string;
  name: string;
  parts: ServicePart[];
  url: (part: (key: string) => string) => string;
}

const join = (...parts: string[]) => parts.filter(Boolean).join("/");

export const services: Service[] = [
  {
    key: "slack",
    name: "Slack",
    parts: [
      { key: "a", label: "Webhook token A", example: "T1JJ3T3L2", secret: true },
      { key: "b", label: "Webhook token B", example: "A1BRTD4JD", secret: true },
      { key: "c", label: "Webhook token C", secret: true },
      { key: "channel", label: "Channel", example: "#alerts", optional: true },
    ],
    url: (part) => `slack://${join(part("a"), part("b"), part("c"), part("channel").replace(/^%23/, "%23"))}`,
  },
  {
    key: "discord",
    name: "Discord",
    parts: [
      { key: "id", label: "Webhook id" },
      { key: "token", label: "Webhook token", secret: true },
    ],
    url: (part) => `discord://${join(part("id"), part("token"))}`,
  },
  {
    key: "msteams",
    name: "Microsoft Teams (workflow)",
    parts: [
      { key: "host", label: "Host", example: "prod-12.westeurope.logic.azure.com" },
      { key: "workflow", label: "Workflow id", secret: true },
      { key: "signature", label: "Signature", secret: true },
    ],
    url: (part) => `workflows://${join(part("host"), part("workflow"), part("signature"))}`,
  },
  {
    key: "mailtos",
    name: "E-mail (SMTP)",
    parts: [
      { key: "host", label: "Mail server", example: "smtp.example.com" },
      { key: "user", label: "User" },
      { key: "password", label: "Password", secret: true },
      { key: "to", label: "To", example: "oncall@example.com" },
    ],
    url: (part) => `mailtos://${part("user")}:${part("password")}@${part("host")}?to=${part("to")}`,
  },
  {
    key: "tgram",
    name: "Telegram",
    parts: [
      { key: "token", label: "Bot token", secret: true },
      { key: "chat", label: "Chat id" },
    ],
    url: (part) => `tgram://${join(part("token").replace("%3A", ":"), part("chat"))}`,
  },
  {
    key: "ntfys",
    name: "ntfy",
    parts: [
      { key: "host", label: "Server", example: "ntfy.example.com" },
      { key: "topic", label: "Topic" },
    ],
    url: (part) => `ntfys://${join(part("host"), part("topic"))}`,
  },
  {
    key: "pagerduty",
    name: "PagerDuty",
    parts: [
      { key: "key", label: "Integration key", secret: true },
      { key: "api", label: "API token", secret: true },
    ],
    url: (part) => `pagerduty://${part("key")}@${part("api")}`,
  },
  {
    key: "jsons",
    name: "JSON over HTTPS",
    parts: [
      { key: "host", label: "Host", example: "hooks.example.com" },
      { key: "path", label: "Path", example: "turbine", optional: true },
    ],
    url: (part) => `jsons://${join(part("host"), part("path").replaceAll("%2F", "/"))}`,
  },
];

/** Builds the URL; null while a required part is missing. `hidden` replaces secrets with dots. */
export function buildUrl(service: Service, parts: Record<string, string>, hidden = false): string {
  if (service.parts.some((part) => !part.optional && !parts[part.key]?.trim())) return "";
  return service.url((key) => {
    const value = parts[key]?.trim() ?? "";
    const isSecret = service.parts.find((part) => part.key === key)?.secret;
    return hidden && isSecret ? "•••" : encodeURIComponent(value);
  });
}
