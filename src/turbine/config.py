"""Settings of a runtime: from a keyword, else the environment variable `TURBINE_<FIELD>`, else the default."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Protocol, Self

from turbine.cron import is_cron, is_zone
from turbine.masking import mask_text, mask_url

DEFAULT_DATABASE = "sqlite:///turbine_data/turbine.db"
_ISO_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


class PayloadCodec(Protocol):
    """Encodes payloads before they are stored, for encryption or compression; `decode` must invert `encode` exactly."""

    def encode(self, payload: str) -> str: ...

    def decode(self, payload: str) -> str: ...


@dataclass(frozen=True, repr=False)
class Config:
    """Settings of a runtime; they do not change after construction.

    Durations are `timedelta` or seconds; in the environment they are seconds or ISO 8601.
    """

    application_id: str = "turbine"
    application_version: str | None = None
    """A label, by default a hash over the source of the registered workflows; recovery does not depend on it."""
    executor_id: str | None = None
    """By default a new unique id for each process start."""
    delivery_attempts: int = 3
    payload_max: int = 64 * 1024 * 1024
    """The maximum size of an encoded payload in bytes."""
    switch_interval: float | None = 0.0005
    """Seconds for `sys.setswitchinterval` at launch; None keeps the setting of the interpreter."""
    gc_retention: timedelta | None = timedelta(hours=72)
    """How long finished runs are kept; None keeps them for ever."""
    gc_schedule: str = "0 0 * * *"
    product_sender: Any = None
    """An object with `send(product, data)` that delivers products; see `ProductSender`."""
    product_storage: str | None = None
    """Where products are stored: a folder, any URL that fsspec supports, or `database`.

    By default the folder `<file>-products` beside the SQLite file; with Postgres or in memory, the database. Processes
    on several machines need a storage that all of them can reach.
    """
    webhook_attempts: int = 3
    webhook_timeout: timedelta = timedelta(seconds=10)
    allow_private_addresses: bool = False
    shutdown_timeout: timedelta = timedelta(seconds=30)
    handle_signals: bool = True
    """Whether SIGTERM shuts the runtime down before it ends the process; only if it is launched in the main thread.

    Existing handlers are called too, and then decide whether the process ends; `shutdown` restores them.
    """
    lease: timedelta = timedelta(seconds=10)
    """How long an executor on another machine may be silent before its runs are recovered."""
    park_after: timedelta = timedelta(seconds=30)
    """How long a waiting run stays in memory before it is parked."""
    max_threads: int = 64
    """The maximum number of threads for blocking workflows and steps."""
    pooler: bool | None = None
    """Whether the Postgres URL leads to a pooler in transaction mode (PgBouncer, Supavisor, RDS Proxy); None: detect.

    Behind a pooler no session state is used: no prepared statements, no LISTEN.
    """
    listen_url: str | None = None
    """A Postgres URL that bypasses the pooler, for notifications.

    Without it commits of other processes are found by polling, every 0.1 s, and every 0.02 s while a caller waits.
    """
    codec: PayloadCodec | None = None
    logger: Any = None
    strict: bool = False
    """Whether code that a replay cannot repeat raises an error instead of a TurbineWarning.

    Currently this applies to steps that are called in threads which a body started itself: they raise NotInWorkflow.
    """
    timezone: str = "UTC"

    @classmethod
    def load(cls, base: Config | None = None, **given: Any) -> Self:
        """Takes each setting from the keywords, else from `base` or the environment, else the default.

        Raises TypeError for an unknown setting, ValueError for an invalid value.
        """
        settings = {field.name: field for field in fields(cls)}
        unknown = sorted(set(given) - set(settings))
        if unknown:
            raise TypeError(f"Unknown setting {', '.join(unknown)}. Settings are: {', '.join(settings)}")
        values: dict[str, Any] = {}
        for name, field in settings.items():
            if name in given:
                values[name] = given[name]
            elif base is not None:
                values[name] = getattr(base, name)
            elif (text := os.environ.get(f"TURBINE_{name.upper()}")) is not None:
                values[name] = _parse(name, str(field.type), text)
        config = cls(**values)
        config.check()
        return config

    def __post_init__(self) -> None:
        for name in ("gc_retention", "webhook_timeout", "shutdown_timeout", "lease", "park_after"):
            value = getattr(self, name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                object.__setattr__(self, name, timedelta(seconds=value))

    def __repr__(self) -> str:
        """Shows the settings, with passwords masked and objects by their types."""
        shown = (f"{field.name}={_shown(field.name, getattr(self, field.name))}" for field in fields(self))
        return f"Config({', '.join(shown)})"

    def check(self) -> None:
        """Raises ValueError, which names the field, for an invalid value."""
        rules: list[tuple[str, Callable[[Any], bool], str]] = [
            ("application_id", bool, "must not be empty"),
            ("lease", lambda v: v >= timedelta(seconds=1), "must be at least one second"),
            ("park_after", lambda v: v >= timedelta(0), "must not be negative"),
            ("shutdown_timeout", lambda v: v >= timedelta(0), "must not be negative"),
            ("webhook_timeout", lambda v: v > timedelta(0), "must be positive"),
            ("max_threads", lambda v: v >= 1, "must be at least 1"),
            ("payload_max", lambda v: v >= 1024, "must be at least 1024 bytes"),
            ("delivery_attempts", lambda v: v >= 1, "must be at least 1"),
            ("webhook_attempts", lambda v: v >= 1, "must be at least 1"),
            ("switch_interval", lambda v: v is None or v > 0, "must be positive, or None"),
            ("gc_retention", lambda v: v is None or v >= timedelta(0), "must not be negative; None keeps for ever"),
            ("gc_schedule", is_cron, "must be a cron expression"),
            ("timezone", is_zone, "must be an IANA name such as Europe/Berlin"),
        ]
        for name, holds, rule in rules:
            value = getattr(self, name)
            if not holds(value):
                raise ValueError(f"{name} {rule}, not {value!r}")


def _shown(name: str, value: Any) -> str:
    if name in ("codec", "logger", "product_sender") and value is not None:
        return f"<{type(value).__qualname__}>"
    return repr(mask_url(value) if isinstance(value, str) else value)


Database = str | Callable[[], str]
"""A database URL, or a function that returns one and is called for each connection (tokens that expire)."""


def database_url(given: str | None) -> str:
    """Returns the given URL, else `TURBINE_DATABASE_URL`, else a file in the working directory."""
    return given or os.environ.get("TURBINE_DATABASE_URL") or DEFAULT_DATABASE


def parse_duration(text: str) -> timedelta:
    """Parses seconds (`"90"`, `"0.5"`) or ISO 8601 (`"PT1M30S"`). Raises ValueError for anything else."""
    try:
        return timedelta(seconds=float(text))
    except ValueError:
        match = _ISO_DURATION.fullmatch(text.strip().upper())
        if match is None or not any(match.groups()):
            raise ValueError(f"{text!r} is not a duration. Write seconds or ISO 8601, for example PT1M30S") from None
        return timedelta(**{unit: float(number) for unit, number in match.groupdict().items() if number})


def _parse(name: str, kind: str, text: str) -> Any:
    try:
        if text == "" and "None" in kind:
            return None
        if "timedelta" in kind:
            return parse_duration(text)
        if "bool" in kind:
            return _BOOLEANS[text.strip().lower()]
        if "int" in kind:
            return int(text)
        if "float" in kind:
            return float(text)
        if "str" in kind:
            return text
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"TURBINE_{name.upper()}={mask_text(text)!r} cannot be read: {mask_text(str(error))}"
        ) from None
    raise ValueError(f"{name} cannot be set in the environment. Pass it to Runtime")


_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
