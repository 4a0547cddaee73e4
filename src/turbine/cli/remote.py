"""The door to a server: its HTTP API."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

import httpx

from turbine.cli.client import Document, Misused, Refused, plain
from turbine.masking import mask_url, scrub
from turbine.platform import sync

TIMEOUT = httpx.Timeout(10, read=60)
CLOCK_SECONDS = 5.0
"""A clock that is further off than this is wrong; the server's time comes in whole seconds."""


class Remote:
    """A server, asked with a token."""

    def __init__(self, server: str, token: str | None) -> None:
        if not server.startswith(("http://", "https://")):
            raise Misused(f"--server must be an http or https URL, not {mask_url(server)!r}")
        address = server.rstrip("/").removesuffix("/_/turbine").removesuffix("/api/pt")
        self.server = mask_url(address)
        """The server as it may be shown."""
        self._secrets = (server, token)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            self._client = httpx.AsyncClient(base_url=f"{address}/api/pt/", headers=headers, timeout=TIMEOUT)
        except (httpx.InvalidURL, ValueError) as error:
            raise Misused(f"{self.server!r} is no URL, or the token none: {self._shown(error)}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def _get(self, path: str, **query: Any) -> Any:
        given = {name: value for name, value in plain(query).items() if value is not None}
        return await self._ask("GET", path, params=given)

    async def _post(self, path: str, body: Document | None = None) -> Any:
        return await self._ask("POST", path, json=body)

    async def _ask(self, method: str, path: str, **sent: Any) -> Any:
        with_json = {name: plain(value) for name, value in sent.items() if value is not None}
        async with self._heard():
            answer = await self._client.request(method, path, **with_json)
        self._check(answer)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise Refused(f"{self.server} does not answer as a Turbine server does; check --server") from None

    def _shown(self, error: Exception) -> str:
        server, token = self._secrets
        return scrub(str(error), server, tokens=[token])

    @asynccontextmanager
    async def _heard(self) -> AsyncGenerator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise Refused(f"{self.server} does not answer in time ({type(error).__name__})") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Refused(
                f"{self.server} cannot be reached: {self._shown(error)}; is it running, and is --server right?"
            ) from None

    def _check(self, answer: httpx.Response) -> None:
        """Raise what the server refused with: Misused for what it could not read, else Refused."""
        if answer.is_success:
            return
        try:
            told = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            raise Refused(
                f"{self.server} answered {answer.status_code} {answer.reason_phrase}, not as a Turbine server does;"
                " check --server"
            ) from None
        match answer.status_code:
            case 400:
                raise Misused(told)
            case 401:
                raise Refused(f"{told} Give a token with --token, or as TURBINE_TOKEN")
            case _:
                raise Refused(told)

    # Runs

    async def runs(self, wanted: Document, limit: int, cursor: str | None) -> Document:
        return await self._get("workflows", **wanted, limit=limit, cursor=cursor)

    async def run(self, id: str) -> Document:
        return await self._get(f"workflows/{_in_path(id)}")

    async def explain(self, id: str) -> Document:
        return await self._get(f"workflows/{_in_path(id)}/explain")

    async def steps(self, id: str) -> list[Document]:
        return (await self._get(f"workflows/{_in_path(id)}/steps", payload_limit=2**31))["items"]

    async def logs(self, wanted: Document, limit: int, cursor: str | None, *, ascending: bool) -> Document:
        return await self._get("logs", **wanted, limit=limit, cursor=cursor, ascending=ascending)

    async def cancel(self, id: str, reason: str | None) -> Document:
        return await self._post(f"workflows/{_in_path(id)}/cancel", {"reason": reason})

    async def resume(self, id: str) -> Document:
        return await self._post(f"workflows/{_in_path(id)}/resume")

    async def release(self, id: str) -> Document:
        return await self._post(f"workflows/{_in_path(id)}/release")

    async def fork(self, id: str, asked: Document) -> Document:
        return await self._post(f"workflows/{_in_path(id)}/fork", asked)

    async def trigger(self, asked: Document) -> str:
        return (await self._post("trigger", asked))["workflow_id"]

    async def approve(self, id: str, asked: Document) -> Document:
        return await self._post(f"workflows/{_in_path(id)}/approve", asked)

    async def send(self, id: str, message: Any, topic: str) -> Document:
        return await self._post(f"workflows/{_in_path(id)}/send", {"topic": topic, "message": message})

    # Queues

    async def queues(self) -> list[Document]:
        found: list[Document] = (await self._get("queues", stats=True))["items"]
        return [queue | queue.pop("stats") for queue in found]

    async def queue(self, name: str) -> Document:
        path = f"queues/{_in_path(name)}"
        return {**await self._get(path), **await self._get(f"{path}/stats")}

    async def pause_queue(self, name: str) -> Document:
        return await self._post(f"queues/{_in_path(name)}/pause")

    async def resume_queue(self, name: str) -> Document:
        return await self._post(f"queues/{_in_path(name)}/resume")

    async def limit_queue(self, name: str, changes: Document) -> Document:
        return await self._ask("PATCH", f"queues/{_in_path(name)}", json=changes)

    # Schedules

    async def schedules(self, workflow: str | None, limit: int, cursor: str | None) -> Document:
        return await self._get("schedules", workflow=workflow, limit=limit, cursor=cursor)

    async def create_schedule(self, asked: Document) -> Document:
        return await self._post("schedules", asked)

    async def switch_schedule(self, id: str, *, enabled: bool, reason: str | None = None) -> Document:
        body = {"reason": reason} if reason is not None else None
        return await self._post(f"schedules/{_in_path(id)}/{'enable' if enabled else 'disable'}", body)

    async def backfill(self, id: str, start: datetime, end: datetime, *, dry_run: bool) -> Document:
        asked = {"start": start, "end": end, "dry_run": dry_run}
        return await self._post(f"schedules/{_in_path(id)}/backfill", asked)

    async def run_schedule(self, id: str) -> str:
        return (await self._post(f"schedules/{_in_path(id)}/run-now"))["workflow_id"]

    async def preview(self, schedule: str | Document, count: int) -> list[str]:
        if isinstance(schedule, str):
            return (await self._get(f"schedules/{_in_path(schedule)}/preview", count=count))["items"]
        return (await self._post("schedules/preview", {"schedule": schedule, "count": count}))["items"]

    async def delete_schedule(self, id: str) -> None:
        await self._ask("DELETE", f"schedules/{_in_path(id)}")

    # Keys

    async def keys(self, prefix: str, limit: int, cursor: str | None) -> Document:
        return await self._get("kv", prefix=prefix, limit=limit, cursor=cursor)

    async def key(self, key: str) -> Document:
        return await self._get(f"kv/{_in_path(key)}")

    async def set_key(self, key: str, asked: Document) -> Document:
        return await self._ask("PUT", f"kv/{_in_path(key)}", json=asked)

    async def delete_key(self, key: str) -> None:
        await self._ask("DELETE", f"kv/{_in_path(key)}")

    # What leaves the house

    async def products(self, workflow_id: str | None, limit: int, cursor: str | None) -> Document:
        return await self._get("products", workflow_id=workflow_id, limit=limit, cursor=cursor)

    async def download(self, id: str, path: Path) -> None:
        await self._fetch(f"products/{_in_path(id)}/download", path)

    async def deliveries(self, wanted: Document, limit: int, cursor: str | None) -> Document:
        return await self._get("deliveries", **wanted, limit=limit, cursor=cursor)

    async def resend(self, id: str) -> Document:
        return await self._post(f"deliveries/{_in_path(id)}/resend")

    # The house itself

    async def backup(self, path: Path) -> Path:
        target = path.absolute()  # noqa: ASYNC240 - asks for the working folder, not the disk
        await self._fetch("backup", target)
        return target

    async def vacuum(self) -> Document:
        return await self._post("vacuum")

    async def rules(self, limit: int, cursor: str | None) -> Document:
        return await self._get("retention", limit=limit, cursor=cursor)

    async def set_rule(self, asked: Document) -> Document:
        return await self._ask("PUT", "retention", json=asked)

    async def delete_rule(self, asked: Document) -> None:
        known = {name: value for name, value in asked.items() if value is not None}
        await self._ask("DELETE", "retention", params=known)

    # Who may come in

    async def accounts(self, limit: int, cursor: str | None) -> Document:
        return await self._get("accounts", limit=limit, cursor=cursor)

    async def create_account(self, asked: Document) -> Document:
        return await self._post("accounts", asked)

    async def change_account(self, id: str, changes: Document) -> Document:
        return await self._ask("PATCH", f"accounts/{_in_path(id)}", json=changes)

    async def delete_account(self, id: str) -> None:
        await self._ask("DELETE", f"accounts/{_in_path(id)}")

    async def tokens(self, limit: int, cursor: str | None) -> Document:
        return await self._get("tokens", limit=limit, cursor=cursor)

    async def create_token(self, asked: Document) -> Document:
        return await self._post("tokens", asked)

    async def delete_token(self, id: str) -> None:
        await self._ask("DELETE", f"tokens/{_in_path(id)}")

    async def _fetch(self, path: str, target: Path) -> None:
        """Load down into a new file, which only its owner may read. Raises FileExistsError; half a file is removed."""
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                async with self._heard(), self._client.stream("GET", path) as answer:
                    if not answer.is_success:
                        await answer.aread()
                    self._check(answer)
                    async for block in answer.aiter_bytes():
                        file.write(block)
                file.flush()
                sync(file.fileno())
        except BaseException:
            target.unlink(missing_ok=True)  # noqa: ASYNC240 - nothing else runs in this process
            raise

    async def examine(self) -> list[Document]:
        async with self._heard():
            answer = await self._client.get("health")
        try:
            health = cast("Document", answer.json())
            is_well = health["status"] == "ok"
        except (ValueError, KeyError, TypeError):
            raise Refused(f"{self.server} does not answer as a Turbine server does; check --server") from None
        found = [
            _check("server", is_well, f"{self.server} runs Turbine {health['version']}: {health['status']}"),
            _check("database", health["database"] == "ok", f"the server's database is {health['database']}"),
            _check("executor", health["executor"] == "running", f"the server's executor is {health['executor']}"),
        ]
        told = answer.headers.get("date")
        if told is not None:
            seconds = (datetime.now(UTC) - parsedate_to_datetime(told)).total_seconds()
            found.append(
                _check(
                    "clock",
                    abs(seconds) <= CLOCK_SECONDS,
                    f"this machine's clock is {seconds:+.0f} s off the server's",
                    seconds=seconds,
                )
            )
        if health["database"] == "ok":
            executors = (await self._get("executors"))["items"]
            alive = [one for one in executors if one["alive"]]
            found.append(_check("executors", bool(alive), f"{len(alive)} live", count=len(alive)))
        return found

    async def migrate(self) -> Document:
        raise Misused("a server brings its database up to date when it starts; use --database to do it from here")


def _in_path(text: str) -> str:
    # Dots alone would be taken for steps up the path.
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def _check(name: str, is_well: bool, text: str, **facts: Any) -> Document:
    return {"name": name, "status": "ok" if is_well else "wrong", "text": text, **facts}
