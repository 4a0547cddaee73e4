"""Validation of the fields that webhooks and alert channels share: events, workflows, quiet hours."""

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
_EVENTS = (*EVENTS, EVERY_EVENT)
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)


def refused(field: str, message: str, kind: str) -> ValidationFailed:
    """Builds the error for one field of a record."""
    return ValidationFailed(what="The record", errors=[{"path": [field], "message": message, "type": kind}])


def events_json(events: Sequence[str], kind: str, *, least: int) -> str:
    """Returns the stored list of events, without duplicates. Raises ValidationFailed for unknown or too few ones."""
    if isinstance(events, str):
        raise refused("events", f"must be a list, such as [{events!r}]", "list_type")
    for event in events:
        if event not in _EVENTS:
            raise refused("events", f"{event!r} is unknown; use one of {', '.join(_EVENTS)}", "unknown_event")
    if len(events) < least:
        raise refused("events", f"a {kind} needs at least one event", "too_short")
    return json.dumps(list(dict.fromkeys(events)))


def check_enabled(enabled: bool) -> bool:
    """Returns the flag. Raises ValidationFailed for anything but a bool."""
    if not isinstance(enabled, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise refused("enabled", "must be True or False", "bool_type")
    return enabled


def workflows_json(names: Sequence[str]) -> str:
    """Returns the stored list of workflow names, without duplicates. Raises ValidationFailed for invalid names."""
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
    """Returns the stored form of quiet hours, `null` for none. Raises ValidationFailed naming the wrong field."""
    if quiet is None:
        return "null"
    if not isinstance(quiet, QuietHours):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise refused("quiet", 'must be QuietHours, such as QuietHours("22:00", "07:00", "Europe/Berlin")', "quiet")
    for field in ("start", "end"):
        text = getattr(quiet, field)
        if not isinstance(text, str) or not _TIME.fullmatch(text):
            raise _refused_quiet(field, f"must be hours and minutes, such as '22:00', not {text!r}", "time")
    if not isinstance(quiet.timezone, str) or not is_zone(quiet.timezone):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refused_quiet(
            "timezone",
            f"there is no time zone {quiet.timezone!r}; use a name of the IANA database, such as Europe/Berlin",
            "timezone",
        )
    weekdays = _each_of("weekdays", quiet.weekdays, WEEKDAYS)
    if quiet.start == quiet.end and len(weekdays) in (0, len(WEEKDAYS)):
        raise _refused_quiet(
            "weekdays", "all day on every day of the week never ends; disable the channel instead", "endless"
        )
    urgent = _each_of("urgent", quiet.urgent, _EVENTS)
    return json.dumps(
        {"start": quiet.start, "end": quiet.end, "timezone": quiet.timezone, "weekdays": weekdays, "urgent": urgent}
    )


def _each_of(field: str, values: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """Returns the given values in the order of the allowed ones, without duplicates."""
    if isinstance(values, str):
        raise _refused_quiet(field, f"must be a list, such as [{values!r}]", "list_type")
    for value in values:
        if value not in allowed:
            raise _refused_quiet(field, f"{value!r} is unknown; use one of {', '.join(allowed)}", "unknown")
    return [value for value in allowed if value in values]


def _refused_quiet(field: str, message: str, kind: str) -> ValidationFailed:
    return ValidationFailed(what="The record", errors=[{"path": ["quiet", field], "message": message, "type": kind}])
