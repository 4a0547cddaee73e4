"""Retry policies: how often and how soon a failed call is retried. Arithmetic only; nothing here sleeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Whether and when a failed attempt is retried; intervals are seconds, `jitter` is a fraction of the wait.

    `retries` is the number of attempts after the first. An error is retried if it is an instance of `retry_on` and
    `retry_if` returns true. Use `RetryPolicy.of`, which checks the numbers.
    """

    retries: int = 0
    base_interval: float = 0.1
    backoff_factor: float = 2.0
    max_interval: float = 5.0
    jitter: float = 0.0
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    retry_if: Callable[[Exception], bool] | None = None

    @classmethod
    def of(
        cls,
        retries: int = 0,
        *,
        base_interval: timedelta | float = 0.1,
        backoff_factor: float = 2.0,
        max_interval: timedelta | float = 5.0,
        jitter: float = 0.0,
        retry_on: type[Exception] | Iterable[type[Exception]] = (Exception,),
        retry_if: Callable[[Exception], bool] | None = None,
    ) -> RetryPolicy:
        """Returns a checked policy; intervals are `timedelta` or seconds.

        Raises ValueError for negative numbers, NaN, or a jitter above 1, TypeError for other types.
        """
        if isinstance(retries, bool) or not isinstance(retries, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"retries must be an int, the number of attempts after the first, not {retries!r}")
        if retries < 0:
            raise ValueError(f"retries must not be negative: {retries}")
        factor = _number(backoff_factor, "backoff_factor")
        fraction = _number(jitter, "jitter")
        if fraction > 1:
            raise ValueError(f"jitter must be a fraction of the wait, from 0 to 1, not {jitter!r}")
        if retry_if is not None and not callable(retry_if):
            raise TypeError(f"retry_if must be a function of the error, not {retry_if!r}")
        return cls(
            retries=retries,
            base_interval=seconds_of(base_interval, "base_interval"),
            backoff_factor=factor,
            max_interval=seconds_of(max_interval, "max_interval"),
            jitter=fraction,
            retry_on=_error_types(retry_on),
            retry_if=retry_if,
        )

    def wait(self, n: int, random: Callable[[], float]) -> float:
        """Returns the seconds before retry `n` (from 1): `min(base * factor ** (n - 1), max)`, ± the jitter.

        `random` returns numbers in [0, 1), and is called only if there is jitter.
        """
        if n < 1:
            raise ValueError(f"retries are counted from 1, not {n}")
        try:
            growth = self.backoff_factor ** (n - 1)
        except OverflowError:
            growth = math.inf
        # Zero times infinity would be NaN; with a base of zero every retry is immediate.
        seconds = min(self.base_interval * growth, self.max_interval) if self.base_interval else 0.0
        if self.jitter:
            seconds *= 1 + self.jitter * (2 * random() - 1)
        return seconds

    def allows(self, exc: BaseException) -> bool:
        """Whether this error is retried; never one that is not an `Exception` (exit, cancellation)."""
        if not isinstance(exc, Exception) or not isinstance(exc, self.retry_on):
            return False
        return self.retry_if is None or bool(self.retry_if(exc))


_LONGEST = 6000 * 365.25 * 86400
"""Seconds from now that are still in the range of `datetime`."""


def seconds_of(duration: timedelta | float, what: str) -> float:
    """Returns the seconds of a duration in `timedelta` or seconds, at most 6,000 years.

    Raises ValueError, which names `what`, if it is negative, NaN or infinite, TypeError if it is no duration.
    """
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    return min(_number(duration, what, "a timedelta or a number of seconds"), _LONGEST)


def _number(value: Any, what: str, kind: str = "a number") -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} must be {kind}, not {value!r:.200}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 <= number < math.inf:
        raise ValueError(f"{what} must be {kind}, finite and not negative, not {number}")
    return number


def _error_types(given: Any) -> tuple[type[Exception], ...]:
    types: tuple[Any, ...] = (given,) if isinstance(given, type) else tuple(given)
    for kind in types:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"retry_on must be classes that derive from Exception, not {kind!r}")
    return types
