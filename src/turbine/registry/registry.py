"""The registry of the workflows that a runtime can execute."""

from __future__ import annotations

import hashlib
import inspect
import weakref
from collections.abc import Iterator

from turbine.codec import UnresolvedAnnotation, source_of
from turbine.errors import NotRegistered, RegistrationConflict
from turbine.registry.definitions import WorkflowDefinition


class Registry:
    """The workflows that a runtime can execute, by name.

    It also resolves workflow objects of user code, which are not always the registered ones: `options` makes copies,
    `rt.register(workflow, name=…)` registers another name, and a module or notebook cell that is run again makes a new
    object of the same name.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, WorkflowDefinition] = {}
        self._declared: dict[str, WorkflowDefinition] = {}
        """The definition of each workflow before overrides."""
        self._former: list[weakref.ref[WorkflowDefinition]] = []
        """Replaced definitions, of which executions may still be running."""

    def add(self, definition: WorkflowDefinition, declared: WorkflowDefinition | None = None) -> None:
        """Adds a workflow; `declared` is its definition before overrides.

        Raises RegistrationConflict when its name is taken, TypeError when it has a schedule and does not take the tick.
        """
        registered = self._by_name.get(definition.name)
        if registered is not None:
            raise RegistrationConflict(
                f"Workflow {definition.name!r} ({_place(definition)}) is already registered: {_place(registered)}."
                f" {_why_two(registered, definition)} Give one of them another name, or register only one of them"
            )
        self._enter(definition, declared)

    def replace(self, definition: WorkflowDefinition, declared: WorkflowDefinition | None = None) -> None:
        """Replaces the workflow of the same name. Raises NotRegistered when there is none."""
        if definition.name not in self._by_name:
            raise NotRegistered(
                f"There is no registered workflow {definition.name!r} to replace. Registered workflows:"
                f" {', '.join(map(repr, self._by_name)) or 'none'}. Register new names before launch"
            )
        former = self._by_name[definition.name], self._declared[definition.name]
        self._enter(definition, declared)
        alive = [ref for ref in self._former if ref() is not None]
        self._former = [*alive, *map(weakref.ref, former)]

    def _enter(self, definition: WorkflowDefinition, declared: WorkflowDefinition | None) -> None:
        if definition.fn is None:
            raise TypeError(f"Workflow {definition.name!r} is remote: it has no code here and cannot be registered")
        if definition.schedule is not None and not _may_take_tick(definition):
            raise TypeError(
                f"Workflow {definition.name!r} has a schedule, so it must take exactly one parameter, the time of the"
                f" tick: def {definition.name}(tick: datetime)"
            )
        self._by_name[definition.name] = definition
        self._declared[definition.name] = declared or definition

    def get(self, name: str) -> WorkflowDefinition | None:
        return self._by_name.get(name)

    def by_fqn(self, fqn: str) -> list[WorkflowDefinition]:
        """Returns the workflows of one function; a factory function may have declared several."""
        return [definition for definition in self._by_name.values() if definition.fqn == fqn]

    def meant(self, definition: WorkflowDefinition, *, by_body: bool = False) -> WorkflowDefinition | None:
        """Returns the registered workflow of a workflow object; None when there is none, or more than one.

        A running body may call workflows that have been replaced since it started (`by_body`).
        """
        registered = self._by_name.get(definition.name)
        if registered is not None:
            declared = self._declared[definition.name]
            if registered is definition or declared is definition or registered.fn is definition.fn:
                return registered
            if by_body and any(ref() is definition for ref in self._former):
                return registered
        others = self._registered_as(definition)
        return others[0] if len(others) == 1 else None

    def require(
        self, definition: WorkflowDefinition, *, by_body: bool = False, elsewhere: bool = False
    ) -> WorkflowDefinition:
        """Returns the registered workflow of a workflow object, or the object's own if it may run `elsewhere`.

        Raises NotRegistered, which says why there is none.
        """
        registered = self.meant(definition, by_body=by_body)
        if registered is not None:
            return registered
        if elsewhere and definition.name not in self._by_name and not self._registered_as(definition):
            return definition
        raise NotRegistered(self._why_not(definition))

    def _registered_as(self, definition: WorkflowDefinition) -> list[WorkflowDefinition]:
        return [self._by_name[name] for name, declared in self._declared.items() if declared is definition]

    def _why_not(self, definition: WorkflowDefinition) -> str:
        name, registered = definition.name, self._by_name.get(definition.name)
        if names := [other.name for other in self._registered_as(definition)]:
            return (
                f"Workflow {name!r} ({_place(definition)}) is registered under several names:"
                f" {', '.join(map(repr, names))}. Use the workflow that rt.register returned for one of them"
            )
        if registered is not None:
            return (
                f"This workflow {name!r} ({_place(definition)}) is not the one that is registered under its name"
                f" ({_place(registered)}). {_why_two(registered, definition)} Use the registered one, or register this"
                f" one in its place: rt.replace({name})"
            )
        return (
            f"Workflow {name!r} ({_place(definition)}) is not registered with this runtime, so it could not be"
            " recovered after a crash. Pass it to Runtime(workflows=[...]) or rt.register before launch"
        )

    def names(self) -> list[str]:
        return list(self._by_name)

    def __iter__(self) -> Iterator[WorkflowDefinition]:
        return iter(self._by_name.values())

    def version(self) -> str:
        """Returns a version label: a hash over the source of the registered workflows."""
        digest = hashlib.sha256()
        for name in sorted(self._by_name):
            fn = self._by_name[name].fn
            try:
                source = inspect.getsource(inspect.unwrap(fn)) if fn is not None else ""
            except (OSError, TypeError):
                source = getattr(getattr(fn, "__code__", None), "co_code", b"").hex()
            digest.update(f"{name}\n{source}\n".encode())
        return digest.hexdigest()[:16]


def _may_take_tick(definition: WorkflowDefinition) -> bool:
    try:
        return definition.takes_tick
    except UnresolvedAnnotation:  # reported by its runs; the other workflows must not fail to launch for it
        return True


def _place(definition: WorkflowDefinition) -> str:
    source = source_of(definition.fn)
    return definition.fqn if source is None else f"{definition.fqn}, {source}"


def _why_two(registered: WorkflowDefinition, other: WorkflowDefinition) -> str:
    """Explains why there are two workflow objects of one name."""
    modules = {definition.fqn.partition(":")[0] for definition in (registered, other)}
    functions = {definition.fqn.partition(":")[2] for definition in (registered, other)}
    if registered.fn is other.fn:
        return "Both are the same function."
    if len(functions) > 1:
        return "They are two functions."
    if len(modules) == 1:
        return "Its module or notebook cell was run again, which made a new object."
    if "__main__" in modules:
        (imported,) = modules - {"__main__"}
        return f"Its module was loaded twice, as the program (__main__) and by an import ({imported})."
    return f"Its code was loaded twice, as the modules {' and '.join(sorted(modules))}."
