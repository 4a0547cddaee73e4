"""Validation of webhooks and alert channels: their events, workflows and quiet hours."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from turbine.cron import is_zone
from turbine.errors import ValidationFailed
from turbine.ids import check_name
from turbine.model.alert_channels import WEEKDAYS, QuietHours
from turbine.model.deliveries import EVENTS, EVERY_EVENT

WORKFLOWS_MAX = 200
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)


def refused(field: str, message: str, kind: str) -> ValidationFailed:
    """The error for an invalid field of a record."""
    return ValidationFailed(what="The record", errors=[{"path": [field], "message": message, "type": kind}])


def events_json(events: Sequence[str], kind: str, *, least: int) -> str:
    """The stored list of events, each once; ValidationFailed for an unknown one or for too few."""
    if isinstance(events, str):
        raise refused("events", f"must be a list, such as [{events!r}]", "list_type")
    choices = (*EVENTS, EVERY_EVENT)
    for event in events:
        if event not in choices:
            raise refused("events", f"{event!r} is unknown; choose from {', '.join(choices)}", "unknown_event")
    if len(events) < least:
        raise refused("events", f"a {kind} needs at least one event", "too_short")
    return json.dumps(list(dict.fromkeys(events)))


def check_enabled(enabled: bool) -> bool:
    """The flag itself; ValidationFailed for anything but True and False."""
    if not isinstance(enabled, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise refused("enabled", "must be True or False", "bool_type")
    return enabled


def workflows_json(names: Sequence[str]) -> str:
    """The stored list of workflow names, each once; ValidationFailed for an invalid name."""
    if isinstance(names, str):
        raise refused("workflows", f"must be a list, such as [{names!r}]", "list_type")
    if len(names) > WORKFLOWS_MAX:
        raise refused("workflows", f"takes at most {WORKFLOWS_MAX} names; `*` in a name matches anything", "too_long")
    for name in names:
        try:
            check_name(name, "workflow name")
        except (TypeError, ValueError) as error:
            raise refused("workflows", str(error), "name") from error
    return json.dumps(list(dict.fromkeys(names)), ensure_ascii=False)


def quiet_json(quiet: QuietHours | None) -> str:
    """The stored form of quiet hours, `null` for none. ValidationFailed names the invalid field."""
    if quiet is None:
        return "null"
    if not isinstance(quiet, QuietHours):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise refused("quiet", 'must be QuietHours, such as QuietHours("22:00", "07:00", "Europe/Berlin")', "quiet")
    for field in ("start", "end"):
        text = getattr(quiet, field)
        if not isinstance(text, str) or not _TIME.fullmatch(text):
            raise _unquiet(field, f"must be hours and minutes, such as '22:00', not {text!r}", "time")
    if not isinstance(quiet.timezone, str) or not is_zone(quiet.timezone):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _unquiet(
            "timezone",
            f"there is no time zone {quiet.timezone!r}; use a name of the IANA database, for example Europe/Berlin",
            "timezone",
        )
    weekdays = _each_of("weekdays", quiet.weekdays, WEEKDAYS)
    if quiet.start == quiet.end and len(weekdays) in (0, len(WEEKDAYS)):
        raise _unquiet("weekdays", "whole days on every day of the week never end; disable the channel", "endless")
    urgent = _each_of("urgent", quiet.urgent, (*EVENTS, EVERY_EVENT))
    return json.dumps(
        {"start": quiet.start, "end": quiet.end, "timezone": quiet.timezone, "weekdays": weekdays, "urgent": urgent}
    )


def _each_of(field: str, given: Sequence[str], choices: Sequence[str]) -> list[str]:
    """The given values in the order of the choices, each once."""
    if isinstance(given, str):
        raise _unquiet(field, f"must be a list, such as [{given!r}]", "list_type")
    for value in given:
        if value not in choices:
            raise _unquiet(field, f"{value!r} is unknown; choose from {', '.join(choices)}", "unknown")
    return [value for value in choices if value in given]


def _unquiet(field: str, message: str, kind: str) -> ValidationFailed:
    return ValidationFailed(what="The record", errors=[{"path": ["quiet", field], "message": message, "type": kind}])
