"""Bodies of steps: run the user's function where it belongs, in the event loop or in a thread.

A thread cannot be stopped. When a pass ends while a blocking function runs in one, because the database went away or
the runtime shut down, the next pass of that run in this process takes the running function over instead of starting a
second one beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError as CancelledFuture
from concurrent.futures import Future, InvalidStateError
from contextvars import Context, copy_context
from functools import partial
from types import TracebackType
from typing import Any

from turbine.codec import settle_error
from turbine.engine.execution import EndedBody, Execution, ThreadAlarm
from turbine.engine.outcomes import Signal, Unloaded
from turbine.engine.step_scope import StepScope
from turbine.errors import Cancelled
from turbine.registry import StepDefinition, current_scope
from turbine.store import Store
from turbine.threads import Call

log = logging.getLogger("turbine")

Waiter = Callable[[Any, BaseException | None], None]
"""Called with the value of a function or the error it raised, in any thread."""


async def run_body(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the function of a step in this task or thread, in another thread, or (from a thread) in the loop."""
    if execution.is_async:
        if not step.is_async:
            return await _in_thread(execution, step, args, kwargs)
        if step.timeout is None:
            return await step.fn(*args, **kwargs)
        async with _Limit(execution, step.timeout):
            return await step.fn(*args, **kwargs)
    if step.is_async:
        return _from_thread(execution, step, args, kwargs)
    return _blocking(execution, step, args, kwargs)


class BlockingBody:
    """A blocking function of a step, on its way in a thread: one for each attempt, however its pass ends."""

    def __init__(self, execution: Execution, step: StepDefinition, scope: StepScope) -> None:
        self.scope = scope
        self._execution = execution
        self._fn = step.fn
        self._key = _key(execution, scope)
        self._lock = threading.Lock()
        self._waiter: Waiter | None = None
        self._outcome: tuple[Any, BaseException | None] | None = None

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call the function and pass its outcome to the waiter. Does not raise."""
        _running[self._key] = self
        try:
            outcome = self._fn(*args, **kwargs), None
        except BaseException as error:  # noqa: BLE001 - the user's function; the step that waits for it gets it
            outcome = None, error
        with self._lock:
            self._outcome = outcome
            waiter = self._waiter
            if waiter is None and self._execution.signal is Signal.AWAY:  # the pass is repeated here and looks for it
                scope = self.scope
                self._execution.ended_bodies[scope.position] = EndedBody(self._fn, scope.attempt, *outcome)
            if _running.get(self._key) is self:
                del _running[self._key]
        if waiter is not None:
            waiter(*outcome)

    def await_(self, waiter: Waiter | None) -> None:
        """Replace the waiter; None when the outcome is no longer awaited."""
        with self._lock:
            former, self._waiter = self._waiter, waiter
            outcome = self._outcome
        if waiter is not None and former is not None:
            former(None, Unloaded())
        if waiter is not None and outcome is not None:
            waiter(*outcome)

    def was_ended(self, error: BaseException | None) -> bool:
        """Whether this error only says that the pass in which the function began was over."""
        return error is not None and (isinstance(error, (Unloaded, Cancelled)) or self._execution.is_ours(error))

    def is_of(self, step: StepDefinition, scope: StepScope) -> bool:
        return self._fn == step.fn and self.scope.attempt == scope.attempt

    @classmethod
    def left_behind(cls, execution: Execution, step: StepDefinition, scope: StepScope) -> BlockingBody | None:
        """The same attempt of the same step as an earlier pass of this run left it: still running, or just ended."""
        if not (_running or execution.ended_bodies):
            return None
        body = _running.get(_key(execution, scope))
        if body is None:
            ended = execution.ended_bodies.pop(scope.position, None)
            if ended is None or ended.fn != step.fn or ended.attempt != scope.attempt:
                return None
            body = cls(execution, step, scope)
            body._outcome = ended.value, ended.error
        return body if body.is_of(step, scope) else None


_running: dict[tuple[object, ...], BlockingBody] = {}


def forget_all(store: Store) -> None:
    """Forget the running functions of this store's runs, as if the process had died; for the testing kit."""
    for key in [key for key in list(_running) if key[0] == _database_of(store)]:
        _running.pop(key, None)


def _key(execution: Execution, scope: StepScope) -> tuple[object, ...]:
    # The start tells a run from a later one that was given its key and its id.
    claimed = execution.claimed
    database = _database_of(execution.app.store)
    return database, claimed.run, claimed.id, claimed.started_ms, scope.position, scope.attempt


def _database_of(store: Store) -> object:
    return id(store) if store.is_memory else store.path


# In the loop, for a thread


def _from_thread(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a coroutine function for a blocking caller, in the loop. A run that is signalled to end cancels it."""
    act = _in_loop(execution, partial(step.fn, *args, **kwargs), copy_context(), step.timeout)
    future = asyncio.run_coroutine_threadsafe(act, execution.app.loop)
    try:
        return future.result()
    except CancelledFuture:
        if future.cancelled():
            raise asyncio.CancelledError from None  # as it was raised in the loop
        raise


async def _in_loop(execution: Execution, call: Callable[[], Any], context: Context, timeout: float | None) -> Any:
    task = asyncio.get_running_loop().create_task(_contained(call), context=context)
    execution.tasks.add(task)
    task.add_done_callback(execution.tasks.discard)
    if execution.signal is not None:
        task.cancel()
    if timeout is None:
        return await task
    async with _Limit(execution, timeout):
        return await task


async def _contained(call: Callable[[], Any]) -> Any:
    try:
        return await call()
    except (SystemExit, KeyboardInterrupt) as error:  # which would end the event loop
        raise _stand_in(error) from error


class _Limit:
    """`asyncio.timeout` by the runtime's clock."""

    __slots__ = ("_alarm", "_app", "_due_ms", "_scope")

    def __init__(self, execution: Execution, seconds: float) -> None:
        self._app = execution.app
        self._due_ms = self._app.clock.now_ms() + round(seconds * 1000)
        self._scope = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._alarm = self._app.clock.call_at(self._app.loop, self._due_ms, self._expire)

    def _expire(self) -> None:
        self._scope.reschedule(self._app.loop.time())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._alarm.cancel()
        return await self._scope.__aexit__(kind, error, trace)


# In threads


async def _in_thread(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a blocking function in a thread that sees this context. One that outlasts its timeout is left behind."""
    scope = current_scope.get()
    assert isinstance(scope, StepScope)
    former = BlockingBody.left_behind(execution, step, scope)
    body = former or BlockingBody(execution, step, scope)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile, and the future with it
            loop.call_soon_threadsafe(_resolve, future, result, None if error is None else _as_exception(error))

    body.await_(settle)
    call = None
    if former is None:
        context = copy_context()
        call = execution.app.threads.submit(lambda: context.run(body.run, args, kwargs))
    try:
        if step.timeout is None:
            return await future
        async with _Limit(execution, step.timeout):
            return await future
    except BaseException as error:
        if future.cancelled():
            _give_up(execution, step, body, call)
        elif former is not None and body.was_ended(error):
            return await _in_thread(execution, step, args, kwargs)
        raise


def _blocking(execution: Execution, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a blocking function for a blocking caller. One that outlasts its timeout is left behind in its thread."""
    scope = current_scope.get()
    assert isinstance(scope, StepScope)
    former = BlockingBody.left_behind(execution, step, scope)
    if former is None and step.timeout is None and execution.thread == threading.get_ident():
        return step.fn(*args, **kwargs)  # the body's own thread, which no pass leaves before this returns
    body = former or BlockingBody(execution, step, scope)
    future: Future[Any] = Future()

    def settle(result: Any, error: BaseException | None) -> None:
        with contextlib.suppress(InvalidStateError):  # the outcome and the timeout race; the first one counts
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(_as_exception(error))

    body.await_(settle)
    call = alarm = None
    if former is None and step.timeout is None:
        body.run(args, kwargs)
    elif former is None:
        context = copy_context()
        call = execution.app.threads.submit_for_waiter(lambda: context.run(body.run, args, kwargs))
    if step.timeout is not None:
        due_ms = execution.app.clock.now_ms() + round(step.timeout * 1000)
        alarm = ThreadAlarm(execution.app, due_ms, lambda: settle(None, _TimedOut()))
    try:
        return future.result()
    except _TimedOut:
        _give_up(execution, step, body, call)
        raise TimeoutError from None
    except BaseException as error:
        if former is not None and body.was_ended(error):
            return _blocking(execution, step, args, kwargs)
        raise
    finally:
        if alarm is not None:
            alarm.cancel()


class _TimedOut(Exception):
    """The timeout of an attempt ended before its function."""


def _give_up(execution: Execution, step: StepDefinition, body: BlockingBody, call: Call | None) -> None:
    """Stop waiting for a function that runs in a thread, which cannot be stopped."""
    body.await_(None)
    threads = execution.app.threads
    goes_on = call is None or threads.give_up(call)
    if goes_on and execution.signal is None:
        body.scope.is_given_up = True
        log.warning(
            "Step %r of run %s was given up while its function runs in a thread, where it goes on: Python cannot stop"
            " it. %s such threads run now. Have the function call turbine.check_cancelled() now and then, or pass a"
            " timeout to what it waits for.",
            step.name,
            execution.id,
            threads.given_up,
        )


def as_failure(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else _stand_in(error)


def _as_exception(error: BaseException) -> BaseException:
    # A future takes no StopIteration, and the loop would end with SystemExit or KeyboardInterrupt.
    return _stand_in(error) if isinstance(error, (StopIteration, SystemExit, KeyboardInterrupt)) else error


def _stand_in(error: BaseException) -> Exception:
    """The error that a replay can raise in the place of one that is no step's."""
    raised = settle_error(error)[1]
    raised.__cause__ = error
    return raised


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
