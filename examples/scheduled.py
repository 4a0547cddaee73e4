"""Schedules: one in code, one made by somebody, and one for a single time.

    python examples/scheduled.py

The clock of `turbine.testing.World` makes a day pass at once; with `turbine.Runtime` the same code waits for it.
A tick starts at most one run, however many processes there are: its id is `sched-<name>-<tick in UTC>`.
"""

import asyncio
from datetime import UTC, datetime

import turbine
from turbine.testing import World


@turbine.workflow(schedule=turbine.Schedule.cron("0 3 * * *", timezone="Europe/Berlin"))
async def close_books(tick: datetime) -> str:
    """A schedule in code: it can be disabled, but not deleted. The workflow gets the time of its tick."""
    return f"books of {tick:%d %B} closed"


@turbine.workflow(triggerable=True)
async def report(region: str) -> str:
    """What anybody may schedule must be `triggerable`."""
    return f"report for {region}"


async def main() -> None:
    async with World(workflows=[close_books, report], start=datetime(2026, 3, 27, tzinfo=UTC)) as world:
        rt = world.runtime
        hourly = await rt.schedules.create(
            report, turbine.Schedule.cron("0 */6 * * *", catch_up="none"), input={"region": "north"}, name="north"
        )
        await rt.schedules.create(
            "report", turbine.Schedule.once(datetime(2026, 3, 27, 9, 30, tzinfo=UTC)), input="south", name="south"
        )
        for schedule in sorted((await rt.schedules.list()).items, key=lambda one: one.name):
            print(f"{schedule.name:12} {schedule.type:8} {schedule.cron_expression or schedule.scheduled_at}")

        # Daylight saving begins in Berlin on 29 March: three o'clock comes an hour earlier in UTC.
        (compiled,) = (await rt.schedules.list("close_books")).items
        for tick in await rt.schedules.preview(compiled.id, count=3):
            print(f"close_books at {tick:%d %b %H:%M} UTC")

        await world.advance(hours=13)
        await rt.schedules.disable(hourly.id)
        await world.advance(hours=11)
        for run in (await rt.list(ascending=True)).items:
            print(run.workflow_id, "->", run.output)


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# close_books  compile  0 3 * * *
# north        cron     0 */6 * * *
# south        once     2026-03-27 09:30:00+00:00
# close_books at 27 Mar 02:00 UTC
# close_books at 28 Mar 02:00 UTC
# close_books at 29 Mar 01:00 UTC
# sched-close_books-2026-03-27T02:00:00Z -> books of 27 March closed
# sched-north-2026-03-27T06:00:00Z -> report for north
# sched-south-2026-03-27T09:30:00Z -> report for south
# sched-north-2026-03-27T12:00:00Z -> report for north
