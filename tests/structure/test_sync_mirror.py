"""`turbine.sync` has the names, parameters, types and docstrings of `turbine`, because it is generated from it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import turbine
import turbine.sync

SCRIPT = Path(__file__).parents[2] / "scripts" / "generate_sync.py"
generate_sync = ModuleType("generate_sync")
generate_sync.__file__ = str(SCRIPT)
exec(compile(SCRIPT.read_text(encoding="utf-8"), SCRIPT, "exec"), vars(generate_sync))

ONLY_ASYNC = {"new_app", "setup", "Runtime.handle", "Kv.get_or_missing", "Logs.look"}
ONLY_ASYNC |= {"Approvals.of_link", "Approvals.decide_by_link", "Products.stored", "Products.open_blocking"}
"""The ASGI application, and methods of Turbine's own packages."""
ONLY_SYNC = {"BlockingStep", "BlockingWorkflow", "Kv", "Runtime.app", "Runtime.iterate", "Runtime.wait_for"}
DIFFERENT_TEXT = {"do", "do_async", "gather", "send_product", "StepTask", "Runtime.launch", "Runtime.shutdown"}
DIFFERENT_TEXT |= {"StepTask.result", "StepTask.exception", "StepTask.done", "Runtime.run_until_signal"}
"""Blocking code does these in threads, and its pages say so."""
DIFFERENT_SIGNATURE = {"do_async", "gather", "StepTask", "Products.open"}
"""Branches are functions instead of awaitables; a task waits; a product opens as an ordinary file."""


def names_of(module: ModuleType) -> dict[str, Any]:
    """Every public name of a module, and those of the classes that have a mirror."""
    names = {name: getattr(module, name) for name in module.__all__}
    with_members = {
        "Runtime": module.Runtime,
        "Handle": module.Handle,
        "kv": type(module.kv),
        "StepTask": module.StepTask,
    }
    runtime = module.Runtime("sqlite://")
    with_members |= {
        type(value).__name__: type(value)
        for value in vars(runtime).values()
        if type(value).__module__.startswith(("turbine.operations", "turbine.queries", "turbine.sync"))
    }
    for prefix, kind in with_members.items():
        names |= {
            f"{prefix}.{name}": inspect.getattr_static(kind, name) for name in dir(kind) if not name.startswith("_")
        }
    return names


ASYNC, SYNC = names_of(turbine), names_of(turbine.sync)
MIRRORED = sorted(
    name
    for name in ASYNC.keys() & SYNC.keys()
    if ASYNC[name] is not SYNC[name] and (callable(ASYNC[name]) or isinstance(ASYNC[name], property))
)


def test_the_generated_modules_are_up_to_date() -> None:
    for path, text in generate_sync.generate().items():
        assert text == path.read_text(encoding="utf-8"), f"{path} is out of date; run scripts/generate_sync.py"


def test_generating_twice_gives_the_same_text() -> None:
    assert generate_sync.generate() == generate_sync.generate()


def test_blocking_code_has_every_public_name() -> None:
    assert ONLY_ASYNC == ASYNC.keys() - SYNC.keys()
    assert ONLY_SYNC == SYNC.keys() - ASYNC.keys()
    assert len(MIRRORED) > 120


@pytest.mark.parametrize("name", [name for name in MIRRORED if name not in DIFFERENT_TEXT])
def test_a_mirror_has_the_docstring_of_its_original(name: str) -> None:
    assert re.sub(r"`[^`]*`", _as_blocking_code, ASYNC[name].__doc__ or "") == (SYNC[name].__doc__ or "")


@pytest.mark.parametrize("name", [name for name in MIRRORED if name not in DIFFERENT_SIGNATURE])
def test_a_mirror_has_the_parameters_and_the_types_of_its_original(name: str) -> None:
    originals = list(_functions(ASYNC[name]))
    mirrors = list(_functions(SYNC[name]))
    assert [_signature(function) for function in originals] == [_signature(function) for function in mirrors]
    assert not any(inspect.iscoroutinefunction(function) for function in mirrors)


def _functions(thing: Any) -> Iterator[Any]:
    if isinstance(thing, property):
        yield thing.fget
    elif isinstance(thing, type):
        if thing.__name__ == "Runtime":
            yield thing.__init__
    else:
        yield thing


def _signature(function: Any) -> str:
    """The signature as blocking code has it."""
    signature = inspect.signature(function)
    result = str(signature.return_annotation).removeprefix("builtins.")
    result = re.sub(r"^Coroutine\[Any, Any, (.*)\]$|^Awaitable\[(.*)\]$", lambda match: match[1] or match[2], result)
    parameters = signature.replace(return_annotation=inspect.Signature.empty)
    return f"{parameters} -> {result.replace('AsyncIterator', 'Iterator')}"


def _as_blocking_code(code: re.Match[str]) -> str:
    return code[0].replace("await ", "").replace("async with", "with").replace("async for", "for")
