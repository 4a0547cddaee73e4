"""What is measured: a case names the work, who does it, how often, and what is demanded of the figures.

Sides are written as `module:function` and imported in the child only, so the process that measures one side never
holds the code of another, and a side that cannot be imported costs its own column and nothing else.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

Size = Mapping[str, float]


class Side(StrEnum):
    """Who does the work; one repetition takes them in this order, so that drift of the machine cancels."""

    FLOOR = "floor"
    TURBINE = "turbine"
    PEER = "peer"


class Mode(StrEnum):
    """How much is measured: QUICK fits in three minutes, FULL is what the documentation shows."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one measurement happens: an empty folder on disk, a fresh database in it, and how much to do."""

    folder: str
    url: str
    size: dict[str, float] = field(default_factory=dict)

    def count(self, name: str) -> int:
        return int(self.size[name])

    @property
    def file(self) -> Path:
        """The SQLite file of this place."""
        return Path(self.url.removeprefix("sqlite:///"))

    def with_size(self, **size: float) -> Self:
        return type(self)(self.folder, self.url, {**self.size, **size})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Target:
    """One demand on a row: the figure itself or a ratio of it, at least or at most a limit."""

    of: Literal["turbine", "floor", "peer"]
    sign: Literal["≥", "≤"]
    limit: float
    unit: str = ""

    def met_by(self, value: float) -> bool:
        return value >= self.limit if self.sign == "≥" else value <= self.limit

    def __str__(self) -> str:
        measure = self.unit if self.of == "turbine" else f"× {self.of}"
        return f"{self.sign} {self.limit:g} {measure}".rstrip()


def at_least(limit: float, of: Literal["floor", "peer"]) -> Target:
    return Target(of, "≥", limit)


def at_most(limit: float, unit: str = "", *, of: Literal["turbine", "floor", "peer"] = "turbine") -> Target:
    return Target(of, "≤", limit, unit)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a figure that the sides answer under `figure`, and what is demanded of it."""

    figure: str
    title: str
    unit: str
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of work, done by up to three sides; `full` and `quick` are its sizes.

    `peer` and `peer_quick` override the size where the peer would take minutes; figures are rates or are scaled to a
    common size, and the notes under the table say when sizes differ. `full_only` keeps a case out of the quick table.
    """

    number: str
    database: Literal["sqlite", "postgres"]
    sides: Mapping[Side, str]
    rows: tuple[Row, ...]
    full: Size
    quick: Size
    peer: Size = field(default_factory=dict)
    peer_quick: Size = field(default_factory=dict)
    repetitions: int = 5
    quick_repetitions: int = 3
    peer_quick_repetitions: int = 1
    full_only: bool = False
    note: str = ""

    @property
    def key(self) -> str:
        return f"{self.number}-{self.database}"

    def size(self, mode: Mode, side: Side) -> dict[str, float]:
        size, smaller = (self.full, self.peer) if mode is Mode.FULL else (self.quick, self.peer_quick)
        return {**size, **(smaller if side is Side.PEER else {})}

    def times(self, mode: Mode, side: Side) -> int:
        if mode is Mode.FULL:
            return self.repetitions
        return self.peer_quick_repetitions if side is Side.PEER else self.quick_repetitions
