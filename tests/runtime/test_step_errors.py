"""Errors of steps: `except` takes the same branch live and on replay, with the same type, text and facts."""

from __future__ import annotations

from collections import defaultdict

import pytest

import turbine
from turbine import SerializationError, StepFailed, TurbineError, WorkflowFailed

heard: defaultdict[str, list[object]] = defaultdict(list)


@pytest.fixture(autouse=True)
def _nothing_heard():
    heard.clear()


class Declined(Exception):
    """Comes back as itself: it can be made of its arguments, and its attributes put back."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        self.hints: list[str] = []

    def __str__(self) -> str:
        return f"declined with {self.code}"


class Unmakeable(Exception):
    """Comes back as StepFailed: nobody knows from its arguments how it was made."""

    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


def _local_error() -> Exception:
    class Local(Exception):
        pass

    return Local("from inside a function")


def _error(name: str) -> BaseException:
    declined = Declined(402)
    declined.hints.append("try another card")
    return {
        "declined": declined,
        "unmakeable": Unmakeable(code=7),
        "local": _local_error(),
        "value": ValueError("no such order", 17),
        "os": FileNotFoundError(2, "No such file", "order.json"),
        "exit": SystemExit(3),
        "group": ExceptionGroup("two", [Declined(1), Unmakeable(code=2)]),
        "interrupt": KeyboardInterrupt(),
    }[name]


@turbine.step
async def fail(name: str) -> None:
    raise _error(name)


@turbine.workflow
async def handle_errors(name: str) -> str:
    try:
        await fail(name)
    except Declined as error:
        heard[name].append(["declined", error.code, error.hints, str(error)])
    except StepFailed as error:
        heard[name].append(["step failed", error.type_name, error.message])
    except ExceptionGroup as group:
        heard[name].append(["group", str(group), [repr(error) for error in group.exceptions]])
    except (ValueError, OSError) as error:
        heard[name].append([type(error).__name__, error.args, str(error)])
    await turbine.recv("again")
    return "handled"


async def test_an_error_is_handled_alike_live_and_on_replay(launch, replay):
    expected = {
        "declined": ["declined", 402, ["try another card"], "declined with 402"],
        "unmakeable": ["step failed", f"{__name__}.Unmakeable", "code 7"],
        "local": ["step failed", f"{__name__}._local_error.<locals>.Local", "from inside a function"],
        "value": ["ValueError", ("no such order", 17), "('no such order', 17)"],
        "os": ["FileNotFoundError", (2, "No such file"), "[Errno 2] No such file: 'order.json'"],
        "exit": ["step failed", "builtins.SystemExit", "3"],
        "interrupt": ["step failed", "builtins.KeyboardInterrupt", ""],
        "group": ["group", "two (2 sub-exceptions)"],
    }
    rt = await launch(handle_errors)

    for name, told in expected.items():
        handle = await rt.run(handle_errors, name)
        await replay(rt, handle)

        assert "handled" == await handle.result()
        live, replayed = heard[name]
        assert live == replayed
        if name == "group":
            first, second = live.pop()
            assert ("Declined(1)", True) == (first, second.startswith("StepFailed("))
        assert told == live
        assert (await handle.steps())[0].error


@turbine.step
async def fail_for_a_reason() -> None:
    try:
        raise KeyError("order-1")
    except KeyError as error:
        raise Declined(404) from error


@turbine.workflow
async def look_at_the_cause() -> list[str]:
    try:
        await fail_for_a_reason()
    except Declined as error:
        heard["cause"].append(repr(error.__cause__))
    try:
        await fail("unmakeable")
    except StepFailed as error:
        heard["cause"].append(type(error.__cause__).__name__)
    await turbine.recv("again")
    return []


async def test_the_cause_of_an_error_is_known_too(launch, replay):
    rt = await launch(look_at_the_cause)

    handle = await rt.run(look_at_the_cause)
    await replay(rt, handle)
    await handle.result()

    # That StepFailed stands for an original is known only on the first run.
    assert ["KeyError('order-1')", "Unmakeable", "KeyError('order-1')"] == heard["cause"][:3]


@turbine.workflow
async def fail_with(name: str) -> None:
    await fail(name)


async def test_an_error_that_nobody_handles_ends_the_run_in_error(launch):
    rt = await launch(fail_with)

    handle = await rt.run(fail_with, "declined")

    with pytest.raises(WorkflowFailed, match="declined with 402") as raised:
        await handle.result()
    error = raised.value
    assert (f"{__name__}.Declined", "declined with 402") == (error.type_name, error.message)
    assert handle.workflow_id == error.workflow_id
    assert "in fail\n" in error.traceback
    status = await handle.status()
    assert ("ERROR", "Declined: declined with 402") == (status.status, status.error)


async def test_the_type_of_a_run_that_failed_with_step_failed_is_the_original_one(launch):
    rt = await launch(fail_with)

    handle = await rt.run(fail_with, "unmakeable")

    with pytest.raises(WorkflowFailed) as raised:
        await handle.result()
    assert (f"{__name__}.Unmakeable", "code 7") == (raised.value.type_name, raised.value.message)


@turbine.step
async def return_something_strange() -> object:
    return object()


@turbine.workflow
async def ask_for_something_strange(is_patient: bool) -> str:
    try:
        await return_something_strange()
    except SerializationError as error:
        heard["strange"].append(str(error))
        if not is_patient:
            raise
    await turbine.recv("again")
    return "went on"


async def test_an_output_that_cannot_be_stored_is_an_error_naming_the_step(launch, replay):
    rt = await launch(ask_for_something_strange)

    patient, impatient = await rt.run(ask_for_something_strange, True), await rt.run(ask_for_something_strange, False)
    await replay(rt, patient)

    assert "went on" == await patient.result()
    with pytest.raises(WorkflowFailed, match="return_something_strange"):
        await impatient.result()
    assert (3, 1) == (len(heard["strange"]), len(set(heard["strange"])))
    assert "ERROR" == (await impatient.status()).status


@turbine.workflow
async def raise_what_turbine_raises() -> None:
    raise TurbineError("out of paper")


async def test_an_error_of_the_body_itself_ends_the_run_too(launch):
    rt = await launch(raise_what_turbine_raises)

    with pytest.raises(WorkflowFailed, match="out of paper"):
        await (await rt.run(raise_what_turbine_raises)).result()
