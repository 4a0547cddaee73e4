"""A process of the chaos hour: workflows in two versions of their code, and a crowd of users who start them.

python chaos_worker.py '{"url": …, "journal": …, "config": {"number": 3, "version": 2, …}, "workflows": null}'

Whatever a user was told is in the journal: a start, a message, a decision, a cancellation. It ends with AWAY when the
database cannot be reached at launch, as a program under a supervisor does.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import samples
from samples import act, act_blocking
from worker import Worker, main

import turbine
import turbine.sync

AWAY = 3
"""The exit status of a process whose database was away when it was launched."""
STARTED, SENT, DECIDED, CANCELLED = "started", "sent", "decided", "cancelled"
"""What the journal says of acknowledged acts; the position of a mark holds the message or the decision."""
POSTS = 3
"""Messages that a mailbox waits for."""
BROOD = 3
GLOBAL, EACH, RATE = 5, 3, 40
"""Limits of the queues: slots everywhere, slots of one process, starts a second."""
USERS_MAX = 60
"""Users of one process who wait for an answer."""

code_version = 1
"""Which of two versions of the workflows this process has; the test runs both side by side."""


# Version 2 does a step more than version 1


@turbine.step
async def extra(stage: int) -> str:
    with samples.marks(stage):
        return "extra"


@turbine.sync.step
def extra_blocking(stage: int) -> str:
    with samples.marks(stage):
        return "extra"


@turbine.workflow(max_recoveries=None)
async def renovated() -> list[str]:
    before = await act(0, "before")
    await turbine.sleep(0.2)
    if code_version == 2 and await turbine.patched("extra"):
        await extra(1)
    return [before, await act(2, "after")]


@turbine.sync.workflow(max_recoveries=None)
def renovated_blocking() -> list[str]:
    before = act_blocking(0, "before")
    if code_version == 2 and turbine.sync.patched("extra"):
        extra_blocking(1)
    turbine.sync.sleep(0.2)
    return [before, act_blocking(2, "after")]


# What waits for the world outside


@turbine.workflow(max_recoveries=None)
async def mailbox() -> list[int]:
    """Messages from outside; one whose sender was killed before it knew comes twice."""
    posts: set[int] = set()
    while len(posts) < POSTS:
        posts.add(await turbine.recv("post", type=int))
        await act(0, "read")
    return sorted(posts)


@turbine.workflow(max_recoveries=None)
async def petition() -> list[Any]:
    decision = await turbine.wait_for_approval("Shall it be?")
    await act(0, "heard")
    return [decision.approved, decision.comment]


@turbine.workflow(max_recoveries=None)
async def endless_child() -> None:
    while True:
        await turbine.sleep(5)


@turbine.workflow(max_recoveries=None)
async def endless() -> None:
    """Until it is cancelled, and its children with it."""
    await turbine.run(endless_child)
    await act(0, "begun")
    await endless_child()


@turbine.workflow(max_recoveries=None)
async def hasty() -> str:
    """More than its timeout allows, most of the time."""
    await turbine.sleep(0.3)
    return await act(0, "in time")


# What waits in queues


@turbine.workflow(max_recoveries=None)
async def job(number: int) -> int:
    await act(0, "job", seconds=0.005 * (number % 5))
    return number


@turbine.workflow(max_recoveries=None)
async def hatchling(parent: str, number: int) -> int:
    await turbine.send(parent, number, topic="hatched")
    await turbine.set_value("number", number)
    await act(0, "hatchling")
    return number


@turbine.workflow(max_recoveries=None)
async def brood() -> list[list[int]]:
    """Children in a queue, so most likely in other processes, that talk to their parent while it waits for them."""
    me = turbine.current().workflow_id
    children = [await turbine.run(hatchling.options(queue="narrow"), me, number) for number in range(BROOD)]
    heard = [await turbine.recv("hatched", type=int) for _ in children]
    values = [await turbine.get_value(child.workflow_id, "number", type=int) for child in children]
    return [sorted(heard), values, [await child.result() for child in children]]


WORKFLOWS = [
    renovated, renovated_blocking, mailbox, petition, endless_child, endless, hasty, job, hatchling, brood,
]  # fmt: skip
SAMPLES = [
    "background", "nap", "write_letters", "read_letters", "lineage", "child", "doomed", "draw", "blocking_background",
    "blocking_child", "lookup",
]  # fmt: skip

STORIES = {
    "background": 3, "nap": 2, "write_letters": 2, "lineage": 1, "doomed": 1, "draw": 1, "blocking_background": 1,
    "lookup": 6, "renovated": 3,
    "renovated_blocking": 1, "mailbox": 2, "petition": 2, "endless": 1, "hasty": 1, "brood": 1,
    "narrow_job": 4, "rated_job": 4, "keyed_job": 3, "delayed_job": 1, "lone_job": 2, "resting_nap": 1,
}  # fmt: skip
"""What users do, and how often."""


class ChaosWorker(Worker):
    """It carries out runs like any other, and users of it start them, send messages, decide and cancel."""

    def __init__(
        self,
        url: str,
        names: list[str] | None,
        *,
        number: int,
        version: int,
        seed: int = 0,
        pause: float = 1.0,
        ready: str | None = None,
        **config: Any,
    ) -> None:
        """`pause`: seconds between two acts of users; `ready`: a file to make once it is launched."""
        global code_version
        code_version = version
        samples.journal.process = number
        super().__init__(url, SAMPLES, executor_id=f"chaos-{number}", application_version=f"v{version}", **config)
        self._number = number
        self._chance = random.Random(f"{seed} {number}")
        self._pause = pause
        self._ready = None if ready is None else Path(ready)
        self._users: set[asyncio.Task[None]] = set()
        for workflow in WORKFLOWS:
            self._workflows[workflow.name] = self._rt.register(workflow)
        self._rt.queue("narrow", global_concurrency=GLOBAL, worker_concurrency=EACH, priority=True)
        self._rt.queue("rated", rate_limit=turbine.RateLimit(RATE, per=timedelta(seconds=1)))
        self._rt.queue("keyed", partitioned=True)
        self._rt.queue("resting", global_concurrency=GLOBAL, release_while_waiting=True)

    async def live(self) -> None:
        try:
            await super().live()
        except turbine.StoreUnavailable as error:
            if self._rt.is_launched:
                raise
            print(f"not launched: {error}", file=sys.stderr)
            sys.stdout.flush()
            os._exit(AWAY)

    async def load(self) -> int:
        """Let users do one thing after another until told to stop; how many things that were."""
        if self._ready is not None:
            self._ready.touch()
        self._flooding = True
        count = 0
        while self._flooding:
            if len(self._users) < USERS_MAX:
                story = self._chance.choices(list(STORIES), weights=list(STORIES.values()))[0]
                task = asyncio.create_task(self._tell(story, f"{story}-{self._number}-{count}", count))
                self._users.add(task)
                task.add_done_callback(self._users.discard)
                count += 1
            await asyncio.sleep(self._chance.expovariate(1 / self._pause))
        for task in list(self._users):
            await task
        return count

    async def dry_up(self) -> None:
        """Let users begin nothing more, and wait until each of them has done what it began."""
        await super().dry_up()
        if self._users:
            await asyncio.wait(set(self._users))

    async def one_of_each(self, serial: int) -> None:
        """One run of each story that ends by itself, undisturbed."""
        ids = {story: f"{story}-{self._number}-{serial}" for story in STORIES if story not in PARTNERS}
        for story, id_ in ids.items():
            await self._begin(story, id_, serial)
        for id_ in ids.values():
            await self._result(id_, 120)

    async def _tell(self, story: str, id_: str, count: int) -> None:
        try:
            partner = PARTNERS.get(story)
            if partner is None:
                await self._begin(story, id_, count)
            else:
                await partner(self, id_)
        except (turbine.ShuttingDown, turbine.StoreUnavailable):
            if self._flooding and not self._rt.is_draining:
                raise

    async def _begin(self, story: str, id_: str, number: int) -> None:
        workflow, arguments = self._workflows.get(story, job), []
        options: dict[str, Any] = {"id": id_}
        match story:
            case "write_letters":
                arguments = [f"{id_}-reader"]
            case "lookup":
                arguments = [number]
            case "hasty":
                options["timeout"] = 0.4
            case "narrow_job":
                options |= {"queue": "narrow", "priority": number % 3}
            case "rated_job":
                options |= {"queue": "rated"}
            case "keyed_job":
                options |= {"queue": "keyed", "partition_key": f"key {number % 4}"}
            case "delayed_job":
                options |= {"queue": "narrow", "delay": self._chance.uniform(0.1, 2)}
            case "lone_job":
                options |= {"deduplication_id": f"lone {number % 3}"}
            case "resting_nap":
                workflow = self._workflows["nap"]
                options |= {"queue": "resting"}
            case _:
                pass
        if workflow is job:
            arguments = [number]
        try:
            await self._rt.run(workflow.options(**options), *arguments)
        except turbine.Deduplicated:
            return
        samples.journal.note(STARTED, id_)

    async def _post(self, id_: str) -> None:
        await self._begin("mailbox", id_, 0)
        for number in range(POSTS):
            await self.send(id_, number)
            await asyncio.sleep(self._chance.uniform(0, 0.3))

    async def send(self, id: str, post: int) -> None:
        await self._rt.send(id, post, topic="post")
        samples.journal.note(SENT, id, str(post))

    async def _petition(self, id_: str) -> None:
        """Hand in one petition, and decide one, most likely of another process."""
        await self._begin("petition", id_, 0)
        await asyncio.sleep(self._chance.uniform(0, 1))
        page = await self._rt.approvals.list()
        if page.items:
            await self.decide(self._chance.choice(page.items).workflow_id)

    async def decide(self, id: str) -> None:
        comment = f"{self._number}.{self._chance.randrange(1_000_000)}"
        try:
            await self._rt.approve(id, self._chance.random() < 0.5, comment, by=f"user of {self._number}")
        except turbine.Conflict:
            return  # somebody else was quicker
        samples.journal.note(DECIDED, id, comment)

    async def _endless(self, id_: str) -> None:
        await self._begin("endless", id_, 0)
        await asyncio.sleep(self._chance.uniform(0, 2))
        await self.cancel(id_)

    async def cancel(self, id: str) -> None:
        if await self._rt.cancel(id):
            samples.journal.note(CANCELLED, id)

    async def decide_all(self) -> None:
        """Decide what is still open, in the end."""
        while page := (await self._rt.approvals.list()).items:
            for gate in page:
                await self.decide(gate.workflow_id)

    async def leave(self) -> None:
        self._flooding = False
        await super().leave()


PARTNERS: dict[str, Callable[[ChaosWorker, str], Coroutine[Any, Any, None]]] = {
    "mailbox": ChaosWorker._post,
    "petition": ChaosWorker._petition,
    "endless": ChaosWorker._endless,
}
"""Stories in which somebody from outside has a part."""


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


if __name__ == "__main__":
    if "libfaketime" in os.environ.get("LD_PRELOAD", ""):
        # Its clock_nanosleep refuses what Python asks for when the monotonic clock is left alone.
        time.sleep = _sleep
    main(ChaosWorker)
