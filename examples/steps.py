"""Steps side by side: plain `asyncio.gather`, and a blocking function that runs in a thread.

    python examples/steps.py

A step takes its position when it is called, not when it ends, so the order in which parallel steps end does not matter
to a replay.
"""

import asyncio
import hashlib

import turbine

PAGES = {"/": b"<h1>Home</h1>", "/shop": b"<h1>Shop</h1>", "/about": b"<h1>About</h1>"}


@turbine.step(retries=3)
async def fetch(path: str) -> bytes:
    await asyncio.sleep(0.02 if path == "/" else 0.0)  # the network: the first page is the slowest
    return PAGES[path]


def fingerprint(page: bytes) -> str:
    """An ordinary blocking function; `turbine.do` makes a step of it, and runs it in a thread."""
    return hashlib.sha256(page).hexdigest()[:8]


@turbine.workflow
async def crawl(paths: list[str]) -> dict[str, str]:
    pages = await asyncio.gather(*(fetch(path) for path in paths))
    prints = await asyncio.gather(*(turbine.do(fingerprint, page) for page in pages))
    return dict(zip(paths, prints, strict=True))


async def main() -> None:
    async with turbine.Runtime("sqlite:///steps.db", workflows=[crawl]) as rt:
        handle = await rt.run(crawl, list(PAGES))
        for path, text in (await handle.result()).items():
            print(f"{path:7} {text}")
        for step in sorted(await handle.steps(), key=lambda step: int(step.position)):
            print(step.position, step.function_name)


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# /       1a713306
# /shop   499c198f
# /about  d73455ae
# 0 fetch
# 1 fetch
# 2 fetch
# 3 fingerprint
# 4 fingerprint
# 5 fingerprint
