import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { post, setCsrf } from "@/api/client";
import { queryClient } from "@/api/session";
import type { Role } from "@/api/types";
import { problemText } from "@/components/toast";
import { Button, Field, Input } from "@/components/ui";
import { useTitle } from "@/shell/title";
import { SignInCard } from "./login";

export function SetupPage() {
  useTitle("Set up Turbine");
  const navigate = useNavigate();
  const { token } = useSearch({ strict: false });
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  if (typeof token !== "string" || token === "") {
    return (
      <SignInCard title="Set up Turbine" note="No accounts yet. Open the setup link that the server printed at startup, or create an account on the command line:">
        <code className="block rounded-md bg-sunken px-2.5 py-2 font-mono text-xs break-all">turbine account create you@example.com --role admin --password-stdin</code>
      </SignInCard>
    );
  }
  const create = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      const answer = await post<{ role: Role; csrf: string }>("setup", { token, email, password });
      setCsrf(answer.csrf);
      queryClient.removeQueries({ queryKey: ["session"] });
      await navigate({ to: "/runs" });
    } catch (error) {
      setWrong(problemText(error));
      setBusy(false);
    }
  };
  return (
    <SignInCard title="Set up Turbine" note="Create the first administrator account. This link works once.">
      <form className="flex flex-col gap-3" onSubmit={(event) => void create(event)}>
        <Field label="E-mail">{(wires) => <Input {...wires} type="email" name="email" autoComplete="username" autoFocus required value={email} onChange={(event) => setEmail(event.target.value)} />}</Field>
        <Field label="Password" hint="At least 8 characters.">
          {(wires) => <Input {...wires} type="password" name="password" autoComplete="new-password" minLength={8} required value={password} onChange={(event) => setPassword(event.target.value)} />}
        </Field>
        {wrong && (
          <div role="alert" className="text-bad">
            {wrong}
          </div>
        )}
        <Button type="submit" tone="primary" busy={busy} className="mt-1 w-full">
          Create account
        </Button>
      </form>
    </SignInCard>
  );
}
