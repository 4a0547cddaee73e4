"""How often and how soon something that failed is tried again: arithmetic only, nothing here sleeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is followed by another; intervals are seconds, `jitter` a fraction of the wait.

    `retries` counts the attempts after the first. An error is tried again if it is one of `retry_on` and `retry_if`
    (where given) says so. Build it with `RetryPolicy.of`, which checks the numbers.
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
        """A checked policy; intervals are `timedelta` or seconds.

        Raises ValueError for negative numbers, NaN, or a jitter above 1, TypeError for values of another kind.
        """
        if isinstance(retries, bool) or not isinstance(retries, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"retries is a whole number of attempts after the first, not {retries!r}")
        if retries < 0:
            raise ValueError(f"retries cannot be negative: {retries}")
        factor = _number(backoff_factor, "backoff_factor")
        fraction = _number(jitter, "jitter")
        if fraction > 1:
            raise ValueError(f"jitter is a fraction of the wait, from 0 to 1, not {jitter!r}")
        if retry_if is not None and not callable(retry_if):
            raise TypeError(f"retry_if is a function of the error, not {retry_if!r}")
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
        """Seconds before retry `n` (from 1): `min(base * factor ** (n - 1), max)`, then give or take the jitter.

        `random` gives numbers in [0, 1), and is asked only if there is jitter.
        """
        if n < 1:
            raise ValueError(f"retries are counted from 1, not {n}")
        try:
            growth = self.backoff_factor ** (n - 1)
        except OverflowError:
            growth = math.inf
        # Zero times infinity would be NaN, and a base of zero means "at once" however often it is tried.
        seconds = min(self.base_interval * growth, self.max_interval) if self.base_interval else 0.0
        if self.jitter:
            seconds *= 1 + self.jitter * (2 * random() - 1)
        return seconds

    def allows(self, exc: BaseException) -> bool:
        """Whether this error may be tried again; never one that is not an `Exception` (exit, cancellation)."""
        if not isinstance(exc, Exception) or not isinstance(exc, self.retry_on):
            return False
        return self.retry_if is None or bool(self.retry_if(exc))


_LONGEST = 6000 * 365.25 * 86400
"""Seconds from now that a `datetime` can still show."""


def seconds_of(duration: timedelta | float, what: str) -> float:
    """Seconds of a duration given as `timedelta` or seconds; 6,000 years stand for all that is longer.

    Raises ValueError, naming `what`, if it is negative, NaN or infinite, TypeError if it is no duration at all.
    """
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    return min(_number(duration, what, "a timedelta or a number of seconds"), _LONGEST)


def _number(value: Any, what: str, wanted: str = "a number") -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what} is {wanted}, not {value!r:.200}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 <= number < math.inf:
        raise ValueError(f"{what} is {wanted}, finite and not negative; this is {number}")
    return number


def _error_types(given: Any) -> tuple[type[Exception], ...]:
    types: tuple[Any, ...] = (given,) if isinstance(given, type) else tuple(given)
    for one in types:
        if not (isinstance(one, type) and issubclass(one, Exception)):
            raise TypeError(f"retry_on takes classes of exceptions that derive from Exception, not {one!r}")
    return types
