import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { keepCsrf, post } from "@/api/client";
import { queryClient } from "@/api/session";
import type { Role } from "@/api/types";
import { problemText } from "@/components/toast";
import { Button, Field, Input } from "@/components/ui";
import { useTitle } from "@/shell/title";
import { loginText, setupText } from "@/text";
import { Door } from "./login";

export function SetupPage() {
  useTitle(setupText.title);
  const navigate = useNavigate();
  const { token } = useSearch({ strict: false });
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  if (typeof token !== "string" || token === "") {
    return (
      <Door title={setupText.title} note={setupText.noToken}>
        <code className="block rounded-md bg-sunken px-2.5 py-2 font-mono text-xs break-all">{setupText.command}</code>
      </Door>
    );
  }
  const create = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      const answer = await post<{ role: Role; csrf: string }>("setup", { token, email, password });
      keepCsrf(answer.csrf);
      queryClient.removeQueries({ queryKey: ["session"] });
      await navigate({ to: "/runs" });
    } catch (error) {
      setWrong(problemText(error));
      setBusy(false);
    }
  };
  return (
    <Door title={setupText.title} note={setupText.note}>
      <form className="flex flex-col gap-3" onSubmit={(event) => void create(event)}>
        <Field label={loginText.email}>{(wires) => <Input {...wires} type="email" name="email" autoComplete="username" autoFocus required value={email} onChange={(event) => setEmail(event.target.value)} />}</Field>
        <Field label={loginText.password} hint={setupText.passwordHint}>
          {(wires) => <Input {...wires} type="password" name="password" autoComplete="new-password" minLength={8} required value={password} onChange={(event) => setPassword(event.target.value)} />}
        </Field>
        {wrong && (
          <div role="alert" className="text-bad">
            {wrong}
          </div>
        )}
        <Button type="submit" tone="primary" busy={busy} className="mt-1 w-full">
          {setupText.button}
        </Button>
      </form>
    </Door>
  );
}
