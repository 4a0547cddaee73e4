"""Lines of a run: who takes which position, so that every replay of the same code takes the same ones.

A line is a sequence of durable calls: the body itself, each branch of `turbine.gather`, each task that the body makes.
`Place` is what `HERE` holds in a body: a line, and how many positions it had given away at that moment. A task that
user code makes starts with a copy of its maker's context, so the place in it tells where in the program it was made,
even when the maker has gone on since; its positions hang there.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from turbine.errors import NotInWorkflow
from turbine.model.positions import NOTE
from turbine.registry import StartOptions, StepDefinition, WorkflowDefinition, current_scope
from turbine.registry.threads import Maker, maker_of_thread, place_of_caller

if TYPE_CHECKING:
    from turbine.engine.execution import Execution


class Branch:
    """A sequence of positions with one owner: a task, or a thread."""

    __slots__ = ("execution", "next", "notes", "owner", "prefix", "tasks")

    def __init__(self, execution: Execution, prefix: str, owner: Any) -> None:
        self.execution = execution
        self.prefix = prefix
        self.owner = owner
        self.next = 0
        self.notes = 0
        """How many notes were taken, which have positions of their own and move no other."""
        self.tasks: dict[int, int] = {}
        """How many tasks were made at which point."""

    def take(self) -> str:
        position = f"{self.prefix}{self.next}"
        self.next += 1
        current_scope.set(WorkflowScope(self, self.next))
        return position

    def take_note(self) -> str:
        position = f"{NOTE}{self.prefix}{self.notes}"
        self.notes += 1
        return position

    def has_more(self) -> bool:
        """Whether the history goes on beyond this point of the line: the code that ran before came further."""
        return self.execution.history.reached.get(self.prefix, -1) >= self.next


class WorkflowScope(NamedTuple):
    """Where the running code stands in a run's body."""

    line: Branch
    given: int

    @property
    def execution(self) -> Execution:
        return self.line.execution

    def current_branch(self, step: StepDefinition | None = None) -> Branch:
        """The line of the running task or thread; a task that has none yet gets its own.

        Raises NotInWorkflow, naming the step, in a thread beside an async body, which has its context and not its
        event loop.
        """
        line = self.line
        execution = line.execution
        try:
            running = execution.running()
        except RuntimeError:  # no event loop runs here
            raise self._misplaced(step) from None
        if running is line.owner or running == line.owner:
            return line
        if self._is_beside:
            raise self._misplaced(step)
        number = line.tasks.get(self.given, 0)
        line.tasks[self.given] = number + 1
        own = Branch(line.execution, f"{line.prefix}{self.given}t{number}.", running)
        current_scope.set(WorkflowScope(own, 0))
        return own

    def step(self, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        execution = self.line.execution
        if execution.is_async and not step.is_async:
            if self._is_beside:
                raise self._misplaced(step)
            raise TypeError(
                f"Step {step.name!r} blocks and was called directly in an async workflow, where it would stop the"
                f" event loop; write `await turbine.do({step.name}, ...)`, which runs it in a thread"
            )
        if not execution.is_async and step.is_async:
            where = "directly" if running_loop() is None else "in an event loop of its own (asyncio.run)"
            raise TypeError(
                f"Step {step.name!r} is a coroutine function and was called {where} in the blocking workflow"
                f" {execution.definition.name!r}; write `turbine.do({step.name}, ...)` in its body, with the `do` of"
                f" turbine.sync, which runs it in the runtime's event loop; or make the workflow `async def`"
            )
        return self.do(step, args, kwargs)

    @property
    def _is_beside(self) -> bool:
        """Whether this is another thread than that of an async body: one that was given its context."""
        execution = self.line.execution
        return execution.is_async and running_loop() is not execution.app.loop

    def _misplaced(self, step: StepDefinition | None) -> NotInWorkflow:
        where = "a thread" if running_loop() is None else "another event loop (asyncio.run)"
        what, cure = "A durable call was made", "Make it in the body itself"
        if step is not None:
            what = f"Step {step.name!r} was called"
            call = f"await {step.name}(...)" if step.is_async else f"await turbine.do({step.name}, ...)"
            cure = f"Write `{call}` in the body itself, several at once with asyncio.gather"
            cure += "" if step.is_async else "; it runs in a thread, too"
        return NotInWorkflow(
            f"{what} in {where} beside that of the async workflow {self.execution.definition.name!r}"
            f" (asyncio.to_thread, or a context that was copied there), where nothing can be recorded. {cure}."
        )

    def maker(self) -> Maker:
        execution = self.line.execution
        definition, app = execution.definition, execution.app
        return Maker(definition.name, definition.is_async, place_of_caller(), app.config.strict, app.warned)

    def do(self, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A step at the next position: a coroutine in an async run, the outcome itself in a blocking one."""
        line = self.current_branch(step)
        execution = line.execution
        return execution.as_callable(execution.steps(line.take(), step, args, kwargs))

    def child(
        self, workflow: WorkflowDefinition, options: StartOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        line = self.current_branch()
        execution = line.execution
        return execution.as_callable(execution.child(line.take(), workflow, options, args, kwargs))


class StepScope:
    """What `HERE` holds while the body of a step runs."""

    __slots__ = ("attempt", "execution", "function_id", "is_given_up", "name", "position")

    def __init__(self, execution: Execution, position: str, name: str, attempt: int, function_id: int) -> None:
        self.execution = execution
        self.position = position
        self.name = name
        self.attempt = attempt
        self.function_id = function_id
        self.is_given_up = False
        """Whether nobody waits for the body any more, which runs in a thread and goes on."""

    def maker(self) -> None:
        """What a step does in threads of its own is part of the step."""

    def step(self, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A step inside a step runs inline: the outer one is recorded as a whole."""
        return step.fn(*args, **kwargs)

    def child(
        self, workflow: WorkflowDefinition, options: StartOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        raise NotInWorkflow(
            f"Workflow {workflow.name!r} was called inside the step {self.name!r}; a step may run more than once, so"
            " call the workflow from the body of a workflow"
        )


def place(word: str) -> WorkflowScope:
    """Where the running code stands. Raises NotInWorkflow, saying why, outside of a body."""
    here = current_scope.get()
    if type(here) is WorkflowScope:
        return here
    if type(here) is StepScope:
        raise NotInWorkflow(
            f"turbine.{word} was used inside the step {here.name!r}; a step may run more than once, so {word} belongs"
            " into the body of the workflow"
        )
    maker = maker_of_thread()
    if maker is not None:
        raise NotInWorkflow(
            f"turbine.{word} was used in {maker.thread}. Nothing can be recorded there: use it in the body itself,"
            " several at once with turbine.gather"
        )
    raise NotInWorkflow(f"turbine.{word} works only in the body of a running workflow; start one with rt.run(...)")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread, if one runs."""
    return asyncio._get_running_loop()  # pyright: ignore[reportPrivateUsage] - the public one raises instead


def current_task_or_thread(is_async: bool) -> Any:
    """Whoever runs this code."""
    return asyncio.current_task() if is_async else threading.get_ident()
