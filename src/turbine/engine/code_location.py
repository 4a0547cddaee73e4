"""The place in the user's code where a run stands, found without disturbing it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from turbine.engine.execution import Execution
from turbine.model.workflows import CodeLine
from turbine.registry.threads import is_of_users

LINES_MAX = 50


def stack(execution: Execution) -> list[CodeLine]:
    """The lines of user code that the body has reached, the body's own first. Called in the runtime's loop.

    Values are not looked at.
    """
    frames = list(_of_task(execution) if execution.is_async else _of_thread(execution))
    code = getattr(inspect.unwrap(execution.definition.fn or stack), "__code__", None)
    body = next((index for index, frame in enumerate(frames) if frame.f_code is code), None)
    if body is None:
        return []  # it has not begun, or is over
    home = frames[body].f_code.co_filename
    return [_line(frame) for frame in frames[body:] if _is_shown(frame.f_code.co_filename, home)][:LINES_MAX]


def _line(frame: FrameType) -> CodeLine:
    code = frame.f_code
    return CodeLine(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname)


def _is_shown(file: str, home: str) -> bool:
    """Whether a line is user code; those of Turbine and the standard library are left out."""
    return file == home or (is_of_users(file) and not file.startswith("<"))


def _of_task(execution: Execution) -> Iterator[FrameType]:
    task = execution.main
    waiting: Any = None if task is None else task.get_coro()
    while waiting is not None:
        for frame_name, next_name in _SUSPENDED:
            frame = getattr(waiting, frame_name, None)
            if frame is not None:
                yield frame
                waiting = getattr(waiting, next_name, None)
                break
        else:
            return


_SUSPENDED = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))
"""Attributes of coroutines, generators and asynchronous generators: the frame, and what they wait for."""


def _of_thread(execution: Execution) -> Iterator[FrameType]:
    frame = sys._current_frames().get(execution.thread or 0)  # pyright: ignore[reportPrivateUsage] - documented
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return reversed(frames)
