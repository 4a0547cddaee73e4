import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, type ReactNode, useState } from "react";
import { post, Problem, setCsrf } from "@/api/client";
import { queryClient } from "@/api/session";
import type { Role } from "@/api/types";
import { Logo } from "@/components/logo";
import { problemText } from "@/components/toast";
import { Button, Field, Input } from "@/components/ui";
import { classes } from "@/lib/format";
import { useTitle } from "@/shell/title";

/** The card used by the sign-in, setup and decision pages. */
export function SignInCard({ title, note, children, wide }: { title: string; note?: ReactNode; children?: ReactNode; wide?: boolean }) {
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center bg-side px-4 py-12">
      <div className={classes("w-full", wide ? "max-w-[520px]" : "max-w-[340px]")}>
        <div className="mb-6 flex items-center gap-2 text-lg font-semibold">
          <Logo className="size-6 text-accent" /> Turbine
        </div>
        <div className="rounded-lg bg-bg p-5 hairline">
          <h1 className="text-base font-semibold">{title}</h1>
          {note && <p className="mt-0.5 text-muted">{note}</p>}
          {children && <div className="mt-4">{children}</div>}
        </div>
      </div>
    </main>
  );
}

export function LoginPage() {
  useTitle("Sign in");
  const navigate = useNavigate();
  const { next } = useSearch({ strict: false });
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const signIn = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      const answer = await post<{ role: Role; csrf: string }>("login", { email, password });
      setCsrf(answer.csrf);
      await queryClient.invalidateQueries({ queryKey: ["session"], refetchType: "all" });
      queryClient.removeQueries({ queryKey: ["session"] });
      // Only paths of the dashboard: a link must not redirect elsewhere after sign-in.
      const to = typeof next === "string" && /^\/(?![/\\])/.test(next) ? next : "/runs";
      await navigate({ to } as never);
    } catch (error) {
      setWrong(error instanceof Problem && error.status === 401 ? "Wrong e-mail or password." : problemText(error));
      setBusy(false);
    }
  };
  return (
    <SignInCard title="Sign in">
      <form className="flex flex-col gap-3" onSubmit={(event) => void signIn(event)}>
        <Field label="E-mail">{(wires) => <Input {...wires} type="email" name="email" autoComplete="username" autoFocus required value={email} onChange={(event) => setEmail(event.target.value)} />}</Field>
        <Field label="Password">
          {(wires) => <Input {...wires} type="password" name="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />}
        </Field>
        {wrong && (
          <div role="alert" className="text-bad">
            {wrong}
          </div>
        )}
        <Button type="submit" tone="primary" busy={busy} className="mt-1 w-full">
          {busy ? "Signing in…" : "Sign in"}
        </Button>
      </form>
    </SignInCard>
  );
}
