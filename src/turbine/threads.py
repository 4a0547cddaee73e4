"""Threads: every thread that Turbine starts for a call of its own or of the user's is one of these, and a daemon.

The standard library's pools, and `asyncio.to_thread`, join their threads when the interpreter or the event loop ends,
so one stuck step would keep a process alive for ever. What a daemon was doing at the end of the process is done again
by the executor that recovers the run.

A blocking function cannot be stopped. One that nothing waits for any more, because its time was up or its caller broke
it off, goes on in its thread, which then no longer counts: another one takes its place, so that functions which never
return starve no other. `given_up` says how many there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from enum import Enum
from typing import Any, ParamSpec, TypeVar

from turbine.forking import tell_after_fork

P = ParamSpec("P")
T = TypeVar("T")


class ThreadsClosed(RuntimeError):
    """A call came after the threads were closed."""


class _State(Enum):
    WAITS = 0
    RUNS = 1
    GIVEN_UP = 2
    DONE = 3


class Call:
    """A function that waits for a thread, or runs in one."""

    __slots__ = ("counts", "fn", "state")

    def __init__(self, fn: Callable[[], None], *, counts: bool) -> None:
        self.fn = fn
        self.counts = counts
        """Whether its thread is one of those that there are so many of."""
        self.state = _State.WAITS


class Threads:
    """Calls functions in threads, in order, at most `maximum` at a time."""

    def __init__(self, maximum: int, name: str = "turbine") -> None:
        self.maximum = maximum
        self._name = name
        self._closed = False
        self.crowded: Callable[[], None] | None = None
        """Hears, in any thread, that a call waits and all threads are taken."""
        self.given_up = 0
        """Threads that carry out what nothing waits for any more."""
        self._begin()
        tell_after_fork(self.forked)

    def _begin(self) -> None:
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._idle = 0
        self._alive = 0

    def forked(self) -> None:
        """Begin without threads: those of the parent are not here, and nobody releases what they held."""
        self._begin()

    @property
    def alive(self) -> int:
        return self._alive

    @property
    def backlog(self) -> int:
        """Calls that wait for a thread."""
        return max(0, len(self._waiting) - self._idle)

    @property
    def is_crowded(self) -> bool:
        """Whether a call waits until one of the threads is free."""
        return self._alive >= self.maximum and self.backlog > 0

    @property
    def in_use(self) -> int:
        """Threads that carry something out now, of those that count."""
        return self._alive - self._idle

    def submit(self, fn: Callable[[], None]) -> Call:
        """Have `fn` called soon; it must not raise."""
        call = Call(fn, counts=True)
        with self._lock:
            if self._closed:
                raise ThreadsClosed("the threads of this runtime are closed")
            self._waiting.append(call)
            self._serve()
        if self.crowded is not None and self.is_crowded:
            self.crowded()
        return call

    def submit_for_waiter(self, fn: Callable[[], None]) -> Call:
        """The same for a thread of these that only waits for the call: where all are taken it gets one beside them.

        Else those who wait could take all threads from those whom they wait for.
        """
        with self._lock:
            is_full = self._alive >= self.maximum and len(self._waiting) >= self._idle and not self._closed
        if not is_full:
            return self.submit(fn)
        call = Call(fn, counts=False)
        _start(lambda: self._make(call), f"{self._name}-beside")
        return call

    def give_up(self, call: Call) -> bool:
        """Wait for a call no more: one that has not begun is never made, and the thread of another no longer counts.

        Returns whether it goes on all the same.
        """
        with self._lock:
            if call.state is _State.RUNS:
                call.state = _State.GIVEN_UP
                self.given_up += 1
                if call.counts:
                    self._alive -= 1
                    self._serve()
            elif call.state is _State.WAITS:
                call.state = _State.DONE
                with contextlib.suppress(ValueError):  # a thread beside the others has it already
                    self._waiting.remove(call)
            return call.state is _State.GIVEN_UP

    def _serve(self) -> None:
        """Have what waits seen to, by an idle thread or by a new one. Called under the lock."""
        if len(self._waiting) > self._idle and self._alive < self.maximum:
            self._alive += 1
            _start(self._main, f"{self._name}-{self._alive}")
        else:
            self._work.notify()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in one of these threads, which sees the caller's context; what it returns or raises.

        A caller that is cancelled leaves the call behind in its thread.
        """
        return await _outcome(self.submit, function, args, kwargs)

    def _main(self) -> None:
        lock = self._lock
        while True:
            with lock:
                while not self._waiting:
                    if self._closed:
                        self._alive -= 1
                        self._work.notify_all()
                        return
                    self._idle += 1
                    self._work.wait()
                    self._idle -= 1
                call = self._waiting.popleft()
            is_ours = self._make(call)
            if self._lock is not lock:
                return  # the call has forked, and this is the child: nothing is left for it to do here
            if not is_ours:
                return

    def _make(self, call: Call) -> bool:
        """Make a call, unless it was given up; whether the thread still counts as one of these."""
        with self._lock:
            if call.state is not _State.WAITS:
                return True
            call.state = _State.RUNS
        call.fn()
        return self._made(call)

    def _made(self, call: Call) -> bool:
        with self._lock:
            was_given_up = call.state is _State.GIVEN_UP
            call.state = _State.DONE
            self.given_up -= was_given_up
            if was_given_up and call.counts:
                if self._alive >= self.maximum or self._closed:
                    return False
                self._alive += 1
        return True

    def close(self, seconds: float = 0.0) -> None:
        """Let idle threads end, and wait for it up to `seconds`; busy ones end after their call."""
        with self._lock:
            self._closed = True
            self._work.notify_all()
            self._work.wait_for(lambda: self._alive == 0, seconds)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`asyncio.to_thread` in a daemon thread of its own: for what happens seldom and belongs to no pool."""
    return await _outcome(lambda call: _start(call, "turbine-aside"), function, args, kwargs)


async def made_in_thread(
    make: Callable[[], T],
    undo: Callable[[T], object],
    *,
    patience: float,
    give_up: Callable[[], object] | None = None,
) -> T:
    """Make something in a daemon thread. A caller that is cancelled meanwhile leaves nothing behind.

    What was made is undone by that thread, as soon as it is there; the caller waits for this, up to `patience` seconds.
    `give_up` is called then, to make `make` return sooner.
    """
    lock = threading.Lock()
    is_given_up = False
    made: list[T] = []

    def call() -> T:
        thing = make()
        with lock:
            if not is_given_up:
                made.append(thing)
                return thing
        undo(thing)
        return thing

    making = asyncio.ensure_future(in_thread(call))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        with lock:
            is_given_up = True
        if give_up is not None:
            give_up()
        ending: asyncio.Future[Any] = asyncio.ensure_future(in_thread(undo, made[0])) if made else making
        ending.add_done_callback(_ignore)
        await unbroken(asyncio.wait({ending}, timeout=patience))
        raise


async def unbroken(act: Coroutine[Any, Any, Any]) -> None:
    """Wait for something short also when the caller is cancelled meanwhile, and again; the caller knows it was."""
    task = asyncio.ensure_future(act)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task})


def _start(call: Callable[[], object], name: str) -> None:
    # In an empty context: whatever happens to start it, it carries out the calls of all.
    Context().run(threading.Thread(target=call, name=name, daemon=True).start)


async def _outcome(
    submit: Callable[[Callable[[], None]], object], function: Callable[..., T], args: Any, kwargs: Any
) -> T:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = copy_context()

    def call() -> None:
        if future.cancelled():  # before its turn came
            return
        try:
            result, error = context.run(function, *args, **kwargs), None
        except BaseException as raised:  # noqa: BLE001 - whoever awaits the future gets it
            result, error = None, _as_error(raised)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits for this any more
            loop.call_soon_threadsafe(_settle, future, result, error)

    submit(call)
    return await future


def _as_error(raised: BaseException) -> BaseException:
    if isinstance(raised, StopIteration):  # no future takes it
        error = RuntimeError(f"the function raised StopIteration: {raised}")
        error.__cause__ = raised
        return error
    return raised


def _ignore(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()  # whoever wanted to know is gone


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
