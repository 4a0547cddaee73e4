"""Where a body stands: which task or thread takes which position, so that every replay takes the same ones.

A *branch* is a sequence of durable calls with one owner: the body itself, each branch of `turbine.gather`, each task
that the body makes. `WorkflowScope` is what `current_scope` holds in a body: a branch, and how many positions it had
taken at that moment. A task that user code makes starts with a copy of its maker's context, so its scope tells where in
the program it was made, even when the maker has gone on since; its positions hang there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from turbine.engine.execution import Execution
from turbine.engine.ops.children import call_child
from turbine.engine.ops.steps import call_step
from turbine.engine.step_scope import StepScope
from turbine.errors import NotInWorkflow
from turbine.model.positions import NOTE
from turbine.registry import StartOptions, StepDefinition, WorkflowDefinition, current_scope
from turbine.registry.scope import Maker
from turbine.registry.threads import maker_of_thread, place_of_caller
from turbine.threads import running_loop


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
        """How many tasks were made at each position."""

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
        """Whether the history goes on beyond this point of the branch: an earlier pass came further."""
        return self.execution.history.reached.get(self.prefix, -1) >= self.next


class WorkflowScope(NamedTuple):
    """Where the running code stands in the body of a run."""

    branch: Branch
    taken: int

    @classmethod
    def of_body(cls, execution: Execution) -> WorkflowScope:
        """The start of the body, for the task or thread that runs it."""
        return cls(Branch(execution, "", execution.running()), 0)

    @property
    def execution(self) -> Execution:
        return self.branch.execution

    def current_branch(self, step: StepDefinition | None = None) -> Branch:
        """The branch of the running task or thread; a task that has none yet gets its own.

        Raises NotInWorkflow, naming the step, in a thread beside an async body that has its context but not its event
        loop.
        """
        branch = self.branch
        execution = branch.execution
        try:
            running = execution.running()
        except RuntimeError:  # no event loop runs in this thread
            raise self._misplaced(step) from None
        if running is branch.owner or running == branch.owner:
            return branch
        if self._is_beside:
            raise self._misplaced(step)
        number = branch.tasks.get(self.taken, 0)
        branch.tasks[self.taken] = number + 1
        own = Branch(execution, f"{branch.prefix}{self.taken}t{number}.", running)
        current_scope.set(WorkflowScope(own, 0))
        return own

    def step(self, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        execution = self.branch.execution
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
        """Whether this is another thread than that of an async body, which got a copy of its context."""
        execution = self.branch.execution
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
        execution = self.branch.execution
        definition, app = execution.definition, execution.app
        return Maker(definition.name, definition.is_async, place_of_caller(), app.config.strict, app.warned)

    def do(self, step: StepDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A step at the next position: a coroutine in an async run, the outcome itself in a blocking one."""
        branch = self.current_branch(step)
        execution = branch.execution
        return execution.as_callable(call_step(execution, branch.take(), step, args, kwargs))

    def child(
        self, workflow: WorkflowDefinition, options: StartOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        branch = self.current_branch()
        execution = branch.execution
        return execution.as_callable(call_child(execution, branch.take(), workflow, options, args, kwargs))


def place(word: str) -> WorkflowScope:
    """Where the running code stands in a body. Raises NotInWorkflow, saying why, outside of one."""
    scope = current_scope.get()
    if type(scope) is WorkflowScope:
        return scope
    if type(scope) is StepScope:
        raise NotInWorkflow(
            f"turbine.{word} was used inside the step {scope.name!r}; a step may run more than once, so {word} belongs"
            " into the body of the workflow"
        )
    maker = maker_of_thread()
    if maker is not None:
        raise NotInWorkflow(
            f"turbine.{word} was used in {maker.thread}. Nothing can be recorded there: use it in the body itself,"
            " several at once with turbine.gather"
        )
    raise NotInWorkflow(f"turbine.{word} works only in the body of a running workflow; start one with rt.run(...)")
