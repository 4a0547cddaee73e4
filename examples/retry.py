"""A step that fails and is tried again: how often, how fast, and for which errors.

    python examples/retry.py

The count of attempts and the pause between them survive a crash: each attempt is recorded.
"""

import asyncio

import turbine


class Busy(Exception):
    """The service may answer later."""


class BadRequest(Exception):
    """The service will never answer this."""


answers: dict[str, list[Exception | str]] = {}


@turbine.step(retries=4, base_interval=0.01, backoff_factor=2.0, max_interval=1.0, retry_on=(Busy,))
async def ask(question: str) -> str:
    answer = answers[question].pop(0)
    if isinstance(answer, Exception):
        raise answer
    return answer


@turbine.workflow
async def research(question: str) -> str:
    try:
        return await ask(question)
    except turbine.MaxStepRetriesExceeded as error:
        return f"gave up after {len(error.causes)} attempts: {error.causes[-1]}"
    except BadRequest as error:  # not in retry_on: raised at once
        return f"asked wrongly: {error}"


async def main() -> None:
    answers["weather"] = [Busy("503"), Busy("503"), "sunny"]
    answers["lottery"] = [Busy("429")] * 5
    answers["???"] = [BadRequest("400")]

    async with turbine.Runtime("sqlite:///retry.db", workflows=[research]) as rt:
        for question in ("weather", "lottery", "???"):
            handle = await rt.run(research, question)
            print(f"{question}: {await handle.result()}")
            for step in await handle.steps():
                for attempt in step.attempts:
                    print(f"  attempt {attempt.number}: {attempt.error or 'done'}")


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# weather: sunny
#   attempt 1: Busy: 503
#   attempt 2: Busy: 503
#   attempt 3: done
# lottery: gave up after 5 attempts: 429
#   attempt 1: Busy: 429
#   attempt 2: Busy: 429
#   attempt 3: Busy: 429
#   attempt 4: Busy: 429
#   attempt 5: Busy: 429
# ???: asked wrongly: 400
#   attempt 1: BadRequest: 400
