"""Values keep their types: what comes back after a restart equals, in type and value, what went in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict as AnyTypedDict

import turbine
from turbine import SerializationError, WorkflowFailed

seen: list[object] = []


@pytest.fixture(autouse=True)
def _nothing_seen():
    seen.clear()


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


class Schema(Enum):
    ROUND = "o"


class Line(AnyTypedDict):
    sku: str
    count: NotRequired[int]


class Parcel(TypedDict, total=False):
    """Pydantic takes this one only from Python 3.12 on; Turbine takes it always."""

    weight: Decimal


class Point(NamedTuple):
    x: int
    y: float


@dataclass
class Address:
    street: str
    moved_in: date | None = None
    lines: list[Line] = field(default_factory=list)


class Order(BaseModel):
    id: UUID
    total: Decimal
    placed: datetime
    address: Address
    colour: Colour = Colour.RED
    parts: dict[str, Order] = {}


@dataclass
class Everything:
    order: Order
    line: Line
    point: Point
    colour: Colour
    size: Size
    shape: Schema
    when: datetime
    day: date
    hour: time
    span: timedelta
    id: UUID
    price: Decimal
    data: bytes
    text: str
    truth: bool
    huge: int
    ratio: float
    nothing: None
    numbers: tuple[int, ...]
    words: set[str]
    path: Path
    kind: Literal["a", "b"]
    either: int | str | None
    by_id: dict[int, list[Point]]
    whatever: Any


def everything() -> Everything:
    order = Order(
        id=UUID(int=7),
        total=Decimal("10.10"),
        placed=datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=UTC),
        address=Address("Hauptstraße 1", date(2020, 2, 29), [{"sku": "a", "count": 2}, {"sku": "b"}]),
    )
    return Everything(
        order=order.model_copy(update={"parts": {"first": order}}),
        line={"sku": "c"},
        point=Point(1, 2.5),
        colour=Colour.RED,
        size=Size.LARGE,
        shape=Schema.ROUND,
        when=datetime(1969, 7, 20, 20, 17, tzinfo=UTC),
        day=date(9999, 12, 31),
        hour=time(23, 59, 59, 999999),
        span=timedelta(days=-1, microseconds=5),
        id=UUID("0190163d-8694-739b-aea5-966c26f8ad91"),
        price=Decimal("1E-28"),
        data=bytes(range(256)),
        text='NUL \0, quote ", emoji 🦆, line \u2028 and \\u0000',
        truth=True,
        huge=2**100,
        ratio=0.1 + 0.2,
        nothing=None,
        numbers=(1, 2, 3),
        words={"a", "b"},
        path=Path("/tmp/x"),
        kind="b",
        either="17",
        by_id={1: [Point(1, 1.0)]},
        whatever={"a": [1, 2.5, None, True]},
    )


@turbine.step
async def give_back(value: Everything) -> Everything:
    seen.append("step ran")
    return value


@turbine.workflow
async def carry(value: Everything, *, again: Everything, parcel: Parcel) -> Everything:
    output = await give_back(value)
    assert parcel == {"weight": Decimal("1.50")}
    message = await turbine.recv("parcel", type=Everything)
    await turbine.set_value("parcel", message)
    own = await turbine.get_value(turbine.current().workflow_id, "parcel", type=Everything)
    await turbine.recv("again")
    for one in (value, again, output, message, own):
        assert one == everything()
        assert type(one.either) is str
        assert type(one.point) is Point
        assert type(one.order.parts["first"]) is Order
    return own


async def test_every_kind_of_value_is_itself_after_a_restart(launch, replay):
    rt = await launch(carry)
    handle = await rt.run(carry, everything(), again=everything(), parcel={"weight": Decimal("1.50")})
    await rt.wait_idle()
    await rt.shutdown()

    later = await launch(carry)
    await later.send(handle.workflow_id, everything(), "parcel")
    await replay(later, later.retrieve(handle.workflow_id))

    assert everything() == await later.retrieve(handle.workflow_id, Everything).result(timeout=120)
    assert everything() == await later.get_value(handle.workflow_id, "parcel", type=Everything)
    assert ["step ran"] == seen


@turbine.step
async def not_a_number() -> list[float]:
    return [math.nan, math.inf, -math.inf, -0.0]


@turbine.workflow
async def reckon(numbers: list[float]) -> list[float]:
    made = await not_a_number()
    await turbine.recv("again")
    return [*numbers, *made]


async def test_numbers_that_json_does_not_know_survive(launch, replay):
    rt = await launch(reckon)

    handle = await rt.run(reckon, [math.nan, -math.inf])
    await replay(rt, handle)
    result = await handle.result()

    assert ["nan", "-inf", "nan", "inf", "-inf", "-0.0"] == [str(number) for number in result]


@turbine.workflow
async def without_annotations(value, *rest, **named):
    await turbine.recv("again")
    seen.append((value, rest, named))
    return value


async def test_without_annotations_values_are_plain_json(launch, replay):
    rt = await launch(without_annotations)
    value = {"a": [1, 2.5, "x", None, True], "b": {"c": []}}

    handle = await rt.run(without_annotations, value, 1, "two", three=[3])
    await replay(rt, handle)

    assert value == await handle.result()
    assert [(value, (1, "two"), {"three": [3]})] == seen


@turbine.workflow
async def with_defaults(order: Order | None = None, *, colour: Colour = Colour.RED) -> str:
    return f"{order} {colour!r}"


async def test_defaults_are_those_of_the_code(launch):
    rt = await launch(with_defaults)

    assert f"None {Colour.RED!r}" == await (await rt.run(with_defaults)).result()


@turbine.workflow
async def return_nothing() -> None:
    await turbine.recv("again")


async def test_a_result_may_be_none(launch, replay):
    rt = await launch(return_nothing)

    handle = await rt.run(return_nothing)
    await replay(rt, handle)

    assert None is await handle.result()
    assert ("SUCCESS", None) == ((await handle.status()).status, (await handle.status()).output)


@turbine.workflow
async def take_an_address(address: Address) -> object:
    return object() if address.street == "strange" else address.street


async def test_an_argument_that_cannot_be_stored_is_refused_naming_the_parameter(launch):
    rt = await launch(take_an_address, without_annotations)

    with pytest.raises(SerializationError, match=r"'address'.*take_an_address"):
        await rt.run(take_an_address, object())
    with pytest.raises(SerializationError, match="'address'"):
        await rt.run(take_an_address, Address(street=7))  # type: ignore[arg-type]
    with pytest.raises(SerializationError, match="'value'"):
        await rt.run(without_annotations, lambda: None)
    with pytest.raises(SerializationError, match="surrogate"):
        await rt.run(without_annotations, "\ud800")

    assert [] == (await rt.list()).items


async def test_a_result_that_cannot_be_stored_ends_the_run_in_error(launch):
    rt = await launch(take_an_address)

    handle = await rt.run(take_an_address, Address("strange"))

    with pytest.raises(WorkflowFailed, match="take_an_address"):
        await handle.result()
    assert "ERROR" == (await handle.status()).status


async def test_a_result_of_another_type_than_asked_is_refused(launch):
    rt = await launch(take_an_address)
    handle = await rt.run(take_an_address, Address("Hauptstraße"))
    await handle.result()

    with pytest.raises(turbine.ValidationFailed) as raised:
        await rt.retrieve(handle.workflow_id, int).result()

    assert [[]] == [error["path"] for error in raised.value.errors]
