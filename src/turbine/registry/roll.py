"""The roll: the workflows that a runtime can carry out."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator

from turbine.errors import RegistrationConflict
from turbine.registry.kinds import WorkflowDefinition


class Registry:
    """The workflows that a runtime can carry out, by name and by fully qualified name."""

    def __init__(self) -> None:
        self._by_name: dict[str, WorkflowDefinition] = {}
        self._by_fqn: dict[str, WorkflowDefinition] = {}

    def add(self, definition: WorkflowDefinition) -> None:
        """Enter a workflow. Raises RegistrationConflict when its name or function is there already.

        Raises TypeError for one with a schedule that does not take one point in time.
        """
        if definition.fn is None:
            raise TypeError(f"workflow {definition.name!r} is remote and cannot be registered here")
        for known in (self._by_name.get(definition.name), self._by_fqn.get(definition.fqn)):
            if known is not None:
                raise RegistrationConflict(
                    f"Workflow {definition.name!r} ({definition.fqn}) is already registered as {known.name!r}"
                    f" ({known.fqn}); give one of them another name"
                )
        if definition.schedule is not None and not definition.takes_tick:
            raise TypeError(
                f"workflow {definition.name!r} has a schedule, so it must take exactly one parameter, the tick,"
                f" annotated as datetime: def {definition.name}(tick: datetime)"
            )
        self._by_name[definition.name] = definition
        self._by_fqn[definition.fqn] = definition

    def get(self, name_or_fqn: str) -> WorkflowDefinition | None:
        return self._by_name.get(name_or_fqn) or self._by_fqn.get(name_or_fqn)

    def names(self) -> list[str]:
        return list(self._by_name)

    def __iter__(self) -> Iterator[WorkflowDefinition]:
        return iter(self._by_name.values())

    def version(self) -> str:
        """A label for the code: a hash over the source of the registered workflows."""
        digest = hashlib.sha256()
        for name in sorted(self._by_name):
            fn = self._by_name[name].fn
            try:
                source = inspect.getsource(inspect.unwrap(fn)) if fn is not None else ""
            except (OSError, TypeError):
                source = getattr(getattr(fn, "__code__", None), "co_code", b"").hex()
            digest.update(f"{name}\n{source}\n".encode())
        return digest.hexdigest()[:16]
