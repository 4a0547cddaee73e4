"""Audit entries: how a change and its audit line come into one transaction."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from turbine.engine.app import App
from turbine.model.accounts import Actor
from turbine.registry import UNSET
from turbine.store.store import Audit
from turbine.tables import audit
from turbine.tables.audit import Line

DETAIL_MAX = 4096
"""Characters of the detail of a line; payloads are not audited."""


def audit_of(
    app: App, actor: Actor | None, action: str, target: str, *, workflow_id: str | None = None, **detail: Any
) -> Audit | None:
    """Writes the audit line of a change, for `Store.write_audited`; None when the process itself makes it.

    `action` is noun and verb, such as `run.cancel`. Details that are None are left out.
    """
    if actor is None:
        return None
    given = {name: value for name, value in detail.items() if value is not None}
    text = json.dumps(given, default=str) if given else None
    if text is not None and len(text) > DETAIL_MAX:
        text = json.dumps({"cut": text[: DETAIL_MAX // 2]})
    line = Line(app.clock.now_ms(), actor.name, actor.role, action, target, workflow_id, text)
    return partial(audit.add, line=line)


def given(**fields: Any) -> dict[str, Any]:
    """The fields of an update that are set; the others stay as they are."""
    return {name: value for name, value in fields.items() if value is not UNSET}
