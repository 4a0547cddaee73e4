"""Queues: how many runs at once, how many starts in a time, who comes first, and one at a time for each customer.

    python examples/queues.py

The limits hold over all processes that use the database, at every instant.
"""

import asyncio
from datetime import timedelta

import turbine

under_way: list[str] = []
most: dict[str, int] = {}


@turbine.step
async def render(video: str) -> None:
    under_way.append(video)
    for kind in {name.split("-")[0] for name in under_way}:
        count = sum(name.startswith(kind) for name in under_way)
        most[kind] = max(most.get(kind, 0), count)
    await asyncio.sleep(0.02)
    under_way.remove(video)


@turbine.workflow
async def publish(video: str) -> str:
    await render(video)
    return video


async def main() -> None:
    rt = turbine.Runtime("sqlite:///queues.db", workflows=[publish])
    rt.queue("renders", global_concurrency=3)
    rt.queue("urgent", worker_concurrency=1, priority=True)
    rt.queue("customers", partitioned=True)
    rt.queue("mails", rate_limit=turbine.RateLimit(2, per=timedelta(milliseconds=400)))
    async with rt:
        # Six runs, three at once.
        handles = [await rt.run(publish.options(queue="renders"), f"render-{number}") for number in range(6)]
        print(len([await handle.result() for handle in handles]), "rendered, three at once:", most["render"] <= 3)

        # The smallest number first; what is already running is not interrupted.
        await rt.pause_queue("urgent")
        urgent = publish.options(queue="urgent")
        handles = [await rt.run(urgent.options(priority=number), f"priority {number}") for number in (3, 1, 2)]
        print((await handles[0].status()).status, "while the queue is paused")
        await rt.resume_queue("urgent")
        started = {await handle.result(): (await handle.status()).started_at for handle in handles}
        print(sorted(started, key=lambda video: started[video]))

        # One run of each customer at a time.
        keyed = publish.options(queue="customers", partition_key="ada")
        for handle in [await rt.run(keyed, f"ada-{number}") for number in range(3)]:
            await handle.result()
        print("of one customer at most", most["ada"], "at once")

        # At most two starts in any 400 ms, so the third one comes later.
        handles = [await rt.run(publish.options(queue="mails"), f"mail-{number}") for number in range(3)]
        await asyncio.gather(*(handle.result() for handle in handles))
        times = sorted([(await handle.status()).started_at for handle in handles])
        print("the third start came 400 ms after the first:", times[2] - times[0] >= timedelta(milliseconds=400))


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# 6 rendered, three at once: True
# ENQUEUED while the queue is paused
# ['priority 1', 'priority 2', 'priority 3']
# of one customer at most 1 at once
# the third start came 400 ms after the first: True
