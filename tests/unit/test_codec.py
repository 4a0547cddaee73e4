"""What a workflow sees live is what its replay will see: values, arguments and errors through their JSON text."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import json
import math
import subprocess
import sys
import types
import typing
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar
from uuid import UUID

import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field

from turbine import codec, errors
from turbine.codec import Signature, payload_type
from turbine.errors import MaxStepRetriesExceeded, SerializationError, StepFailed, ValidationFailed

T = TypeVar("T")
OrderId = NewType("OrderId", str)


class Colour(enum.Enum):
    RED = "red"
    BLUE = 7


class Address(BaseModel):
    street: str
    geo: tuple[float, float] | None = None


class Order(BaseModel):
    order_id: str
    total: Decimal = Decimal("1.10")
    address: Address | None = None


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = Field(default=0, alias="orderNumber")

    @computed_field
    @property
    def doubled(self) -> int:
        return self.number * 2


class Measured(BaseModel):
    value: float | None = None


class Exact(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")
    value: float
    raw: bytes = b""


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Blob(BaseModel):
    raw: bytes


class Box(BaseModel, Generic[T]):
    inside: T


class Point(NamedTuple):
    x: int
    label: bytes


class OldDict(typing.TypedDict, total=False):
    raw: typing.Required[bytes]
    when: datetime


class NewDict(typing_extensions.TypedDict):
    raw: bytes


@dataclasses.dataclass
class Parcel:
    raw: bytes
    weight: float = 1.0
    parts: list[Parcel] = dataclasses.field(default_factory=list)


NOON = datetime(2026, 3, 27, 12, 0, 0, 123456, tzinfo=UTC)
NOT_UTF8 = b"\xff\x00\xfe"

TYPED: list[tuple[Any, Any]] = [
    (str, "hé\0\n\"'\u2028"),
    (int, 10**400),
    (bool, True),
    (float, 1e-300),
    (float, math.inf),
    (None, None),
    (bytes, NOT_UTF8),
    (datetime, NOON),
    (date, date(2026, 3, 27)),
    (time, time(1, 2, 3)),
    (timedelta, timedelta(days=-3, microseconds=1)),
    (UUID, UUID(int=7)),
    (Decimal, Decimal("1E+5")),
    (Colour, Colour.BLUE),
    (Path, Path("/tmp/x")),
    (complex, 1 + 2j),
    (set[int], {1, 2}),
    (frozenset[str], frozenset("ab")),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2)),
    (tuple[()], ()),
    (list[bytes], [NOT_UTF8]),
    (dict[int, list[Decimal]], {1: [Decimal("0.10")]}),
    (dict[UUID, Colour], {UUID(int=1): Colour.RED}),
    (Sequence[int], [1, 2]),
    (Iterable[int], [1, 2]),
    (Literal["a", 1], 1),
    (Annotated[int, Field(gt=0)], 3),
    (OrderId, OrderId("o1")),
    (int | str, "1"),
    (Decimal | None, Decimal(1)),
    (Order | Address, Address(street="x")),
    (Order, Order(order_id="1", address=Address(street="x", geo=(1.0, -0.0)))),
    (Aliased, Aliased(orderNumber=3)),
    (Box[list[datetime]], Box[list[datetime]](inside=[NOON])),
    (Exact, Exact(value=-math.inf, raw=NOT_UTF8)),
    (Point, Point(1, NOT_UTF8)),
    (NewDict, {"raw": NOT_UTF8}),
    (OldDict, {"raw": NOT_UTF8}),
    (list[OldDict] | None, [{"raw": NOT_UTF8, "when": NOON}]),
    (Parcel, Parcel(NOT_UTF8, math.inf, [Parcel(b"")])),
    (dict[str, Parcel], {"a": Parcel(b"")}),
]


@pytest.mark.parametrize(("annotation", "value"), TYPED, ids=map(str, range(len(TYPED))))
def test_an_annotated_value_comes_back_as_the_same_type(annotation, value):
    text, settled = payload_type(annotation).settle(value, "The result")
    replayed = payload_type(annotation).decode(text, "The result")

    assert (value, type(value)) == (settled, type(settled)) == (replayed, type(replayed))
    assert "\0" not in text
    json.loads(text, parse_constant=pytest.fail)


@pytest.mark.parametrize("annotation", [float, Any, list[float], Exact, Parcel, dict[str, Any]])
def test_nan_comes_back_as_nan_from_strict_json(annotation):
    value: Any = {list[float]: [math.nan], Exact: Exact(value=math.nan), Parcel: Parcel(b"", math.nan)}.get(
        annotation, math.nan
    )
    value = {"a": [math.nan, "NaN", '"-Infinity']} if annotation == dict[str, Any] else value

    text, settled = payload_type(annotation).settle(value, "The result")

    assert '{"$float":"NaN"}' in text
    json.loads(text, parse_constant=pytest.fail)
    assert repr(value) == repr(settled) == repr(payload_type(annotation).decode(text, "The result"))


@pytest.mark.parametrize(
    ("annotation", "value"), [(Measured, Measured(value=math.nan)), (Any, [Measured(value=math.inf)])]
)
def test_a_model_that_would_turn_nan_into_null_is_refused_and_told_how_not_to(annotation, value):
    with pytest.raises(SerializationError, match="ser_json_inf_nan='constants'"):
        payload_type(annotation).encode(value, "The result")


def test_a_model_with_none_where_a_number_may_stand_is_not_taken_for_nan():
    text, settled = payload_type(Measured).settle(Measured(), "The result")

    assert (text, settled) == ('{"value":null}', Measured())


def test_a_model_that_cannot_write_its_bytes_is_told_which_configuration_can():
    with pytest.raises(SerializationError, match="ser_json_bytes='base64', val_json_bytes='base64'"):
        payload_type(Blob).encode(Blob(raw=NOT_UTF8), "The result")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_value_comes_back_without_an_annotation(value):
    text, settled = payload_type(Any).settle(value, "The result")

    assert value == settled == payload_type(Any).decode(text, "The result")
    assert "\0" not in text
    json.loads(text.encode(), parse_constant=pytest.fail)


rows_of_many_types = st.lists(
    st.tuples(
        st.binary(),
        st.floats(allow_nan=False),
        st.decimals(allow_nan=False, allow_infinity=False),
        st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    )
)


@given(rows_of_many_types)
def test_typed_rows_come_back_exactly(rows):
    kind = payload_type(list[tuple[bytes, float, Decimal, datetime]])

    text, settled = kind.settle(rows, "The result")

    assert rows == settled == kind.decode(text, "The result")


@given(st.text(st.characters(), max_size=30) | st.integers() | st.floats() | st.booleans() | st.none())
def test_a_scalar_is_returned_as_it_is_or_refused(value):
    for annotation in (Any, type(value)):
        try:
            text, settled = payload_type(annotation).settle(value, "The result")
        except SerializationError:
            assert isinstance(value, str)
            assert any("\ud800" <= letter <= "\udfff" for letter in value)
        else:
            text.encode()
            assert repr(value) == repr(settled) == repr(payload_type(annotation).decode(text, "The result"))


def test_an_unannotated_value_becomes_plain_json_live_too():
    value = {1: (Order(order_id="1"), NOON, Colour.RED, b"a", {3})}

    _, settled = payload_type(Any).settle(value, "The result")

    order = {"order_id": "1", "total": "1.10", "address": None}
    assert settled == {"1": [order, "2026-03-27T12:00:00.123456Z", "red", "YQ==", [3]]}


def test_what_fits_its_annotation_loosely_is_seen_live_as_a_replay_sees_it():
    assert [repr(payload_type(float).settle(1, "x")[1]), payload_type(Sequence[int]).settle((1, 2), "x")[1]] == [
        "1.0",
        [1, 2],
    ]


def circular() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def deep() -> list[Any]:
    nest: list[Any] = []
    for _ in range(100_000):
        nest = [nest]
    return nest


class Stubborn:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "1"),
        (str, 1),
        (list[int], ["1"]),
        (list[int], [1, None]),
        (tuple[int, ...], [1]),
        (Order, {"order_id": "1"}),
        (Order, Address(street="x")),
        (Order, Order.model_construct(order_id=5)),
        (Parcel, Order(order_id="1")),
        (NewDict, {}),
        (Annotated[int, Field(gt=0)], -1),
        (Literal["a"], "b"),
        (Colour, "red"),
        (None, 1),
        (str, "\ud800"),
        (Any, "\ud800"),
        (Any, {"\udfff": 1}),
        (Any, [object()]),
        (Any, print),
        (Any, Stubborn()),
        (Any, circular()),
        (list, circular()),
        (Any, deep()),
        (Any, 10**5000),
        (int, 10**5000),
        (str | bytes, b"text"),
        (datetime | str, "2026-03-27T12:00:00"),
        (list[int] | set[int], {1}),
        (dict[tuple[int, int], int], {(1, 2): 3}),
        (SecretStr, SecretStr("password")),
        (Any, {"password": SecretStr("password")}),
        (Stubborn, Stubborn()),
        (Callable[[], int], print),
        (Any, {"$float": "NaN"}),
    ],
    ids=lambda part: str(part)[:40] if isinstance(part, type) else "",
)
def test_what_would_not_come_back_is_refused_at_once_and_named(annotation, value):
    with pytest.raises(SerializationError, match="The result of step 'charge'"):
        payload_type(annotation).encode(value, "The result of step 'charge'")


def test_the_stars_of_a_secret_are_not_mistaken_in_ordinary_text():
    assert payload_type(list[str]).settle(["**********"], "x")[1] == ["**********"]


@pytest.mark.parametrize(
    ("text", "annotation", "path"),
    [
        ('"5"', int, []),
        ("5", str, []),
        ("1", bool, []),
        ('{"order_id":5}', Order, ["order_id"]),
        ('[{"order_id":"1","address":{"street":null}}]', list[Order], [0, "address", "street"]),
        ("nonsense", Any, []),
        ("nonsense", int, []),
    ],
)
def test_a_stored_value_of_another_type_is_a_validation_failure_with_its_path(text, annotation, path):
    with pytest.raises(ValidationFailed, match="Value 'total'") as caught:
        payload_type(annotation).decode(text, "Value 'total'")

    assert [error["path"] for error in caught.value.errors] == [path]
    assert {"path", "message", "type"} == set(caught.value.errors[0])


def test_a_payload_type_is_made_once_for_an_annotation():
    assert payload_type(dict[str, Order]) is payload_type(dict[str, Order])
    assert payload_type(Annotated[int, {"un": "hashable"}]).settle(1, "x") == ("1", 1)


def test_plain_reads_any_stored_text():
    assert codec.json_value(None) is None
    assert codec.json_value('{"a":[1,"x"]}') == {"a": [1, "x"]}
    assert codec.json_value(payload_type(float).encode(math.nan, "x")) == {"$float": "NaN"}


# Signatures


def place(order: Order, /, note: str = "none", *tags: Colour, at: datetime = NOON, **extra: bytes) -> None: ...


PLACE = Signature(place, "workflow 'place'")


def test_arguments_come_back_typed_and_as_they_were_passed():
    args = (Order(order_id="1"), "hello", Colour.RED)
    kwargs = {"at": NOON, "raw": NOT_UTF8}

    text = PLACE.encode(args, kwargs)

    assert (args, kwargs) == PLACE.decode(text)
    assert set(json.loads(text)) == {"args", "kwargs"}


def test_named_arguments_stay_named_and_defaults_are_not_stored():
    def both(a: int, b: int = 2, c: int = 3) -> None: ...

    assert Signature(both, "both").encode((1,), {"c": 5}) == '{"args":[1],"kwargs":{"c":5}}'


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1,), {"order": 1})])
def test_arguments_that_do_not_fit_are_a_type_error_naming_the_function(args, kwargs):
    def one(order: int) -> None: ...

    with pytest.raises(TypeError, match="workflow 'one'"):
        Signature(one, "workflow 'one'").encode(args, kwargs)


def test_an_argument_without_json_form_names_its_parameter():
    with pytest.raises(SerializationError, match="Parameter 'note' of workflow 'place'"):
        PLACE.encode((Order(order_id="1"), 5), {})
    with pytest.raises(SerializationError, match="Parameter 'raw' of workflow 'place'"):
        PLACE.encode((Order(order_id="1"),), {"raw": "text"})


def test_stored_arguments_of_another_type_name_their_parameter():
    def old(order_id: int) -> None: ...

    with pytest.raises(ValidationFailed, match="Parameter 'order_id' of old"):
        Signature(old, "old").decode('{"args":["1"],"kwargs":{}}')


def later(value: Defined) -> Defined: ...


def broken(value: Nowhere) -> int: ...  # noqa: F821


class Defined(BaseModel):
    value: int


def test_an_annotation_may_name_what_is_defined_further_down():
    assert Signature(later, "later").result.annotation is Defined


@pytest.mark.skipif(sys.version_info < (3, 14), reason="without quotes annotations are values at once")
def test_an_annotation_without_quotes_may_name_what_is_defined_further_down():
    module = types.ModuleType("module")
    exec("def body(value: Later) -> list[Later] | None: ...", module.__dict__)
    signature = Signature(module.body, "body")
    module.LazyImport = Defined

    assert signature.decode('{"args":[{"value":1}],"kwargs":{}}') == ((Defined(value=1),), {})
    assert signature.result.annotation == list[Defined] | None
    assert "(value: Later) -> list[Later] | None" == signature.text


def test_an_annotation_may_name_what_is_local_to_the_enclosing_function():
    class Local(BaseModel):
        value: int

    def body(value: Local) -> list[Local]: ...

    signature = Signature(body, "body")

    assert signature.decode('{"args":[{"value":1}],"kwargs":{}}') == ((Local(value=1),), {})
    assert signature.result.annotation == list[Local]


def test_an_annotation_that_cannot_be_resolved_is_told_when_it_is_needed():
    signature = Signature(broken, "workflow 'broken'")

    assert signature.parameters == ("value",)
    assert signature.result.annotation is int
    with pytest.raises(TypeError, match="parameter 'value' of workflow 'broken', 'Nowhere', cannot be resolved"):
        signature.encode((1,), {})


def test_the_result_of_a_coroutine_is_what_it_is_awaited_to_give():
    async def native() -> int: ...

    def wrapped() -> Awaitable[int]: ...

    def untold(): ...

    assert [Signature(fn, "x").result.annotation for fn in (native, wrapped, untold)] == [int, int, Any]


class Shop:
    def sell(self, order: Order) -> Colour: ...

    def __call__(self, order: Order) -> Colour: ...


@pytest.mark.parametrize(
    "fn", [Shop().sell, Shop(), functools.partial(Shop.sell, Shop())], ids=["method", "call", "part"]
)
def test_methods_callables_and_partials_have_signatures_too(fn):
    signature = Signature(fn, "sell")

    assert signature.parameters == ("order",)
    assert signature.decode('{"args":[{"order_id":"1"}],"kwargs":{}}') == ((Order(order_id="1"),), {})
    assert signature.result.annotation is Colour


def test_a_function_that_tells_nobody_its_signature_takes_anything():
    assert Signature(dict.fromkeys, "x").encode(([1],), {})
    assert Signature(type("C", (), {"__call__": print})(), "x").parameters


# Input from outside


def lone(order: Order) -> None: ...


def number(n: int) -> None: ...


def pair(a: int, b: float = 1.0) -> None: ...


def nothing() -> None: ...


@pytest.mark.parametrize(
    ("fn", "value", "expected"),
    [
        (lone, {"order": {"order_id": "1"}}, ((), {"order": Order(order_id="1")})),
        (lone, {"order_id": "1"}, ((), {"order": Order(order_id="1")})),
        (lone, {"order_id": "1", "total": "2.50"}, ((), {"order": Order(order_id="1", total=Decimal("2.50"))})),
        (number, 5, ((), {"n": 5})),
        (number, {"n": 5}, ((), {"n": 5})),
        (pair, {"a": 1}, ((), {"a": 1})),
        (pair, {"a": 1, "b": 2}, ((), {"a": 1, "b": 2.0})),
        (nothing, None, ((), {})),
        (nothing, {}, ((), {})),
        (place, {"order": {"order_id": "1"}}, ((Order(order_id="1"),), {})),
        (
            place,
            {"order": {"order_id": "1"}, "tags": ["red"], "x": "YQ=="},
            ((Order(order_id="1"), "none", Colour.RED), {"x": b"a"}),
        ),
    ],
)
def test_input_is_an_object_by_parameter_name_or_the_bare_value_of_the_only_one(fn, value, expected):
    signature = Signature(fn, "it")

    assert expected == signature.decode(signature.from_json(value))


@pytest.mark.parametrize(
    ("fn", "value", "paths"),
    [
        (lone, {"order": {"order_id": 1}}, [["order", "order_id"]]),
        (lone, {"order": {}}, [["order", "order_id"]]),
        (lone, {"order_id": 1}, [["order_id"]]),
        (lone, {"order": {"order_id": "1"}, "more": 1}, [["more"]]),
        (lone, {"order_id": "1", "more": 1}, [["more"]]),
        (lone, {"order": {"order_id": "1", "address": {"street": "x", "more": 1}}}, [["order", "address", "more"]]),
        (lone, None, [[]]),
        (number, "5", [[]]),
        (number, True, [[]]),
        (number, 5.5, [[]]),
        (number, {"m": 5}, [["m"], ["n"]]),
        (number, object(), [[]]),
        (pair, {"a": "1", "c": 1}, [["a"], ["c"]]),
        (pair, 1, [[]]),
        (pair, [], [[]]),
        (nothing, {"a": 1}, [["a"]]),
        (nothing, 1, [[]]),
        (place, {"order": {"order_id": "1"}, "tags": ["green"]}, [["tags", 0]]),
    ],
)
def test_wrong_input_is_a_validation_failure_with_all_paths(fn, value, paths):
    with pytest.raises(ValidationFailed) as caught:
        Signature(fn, "it").from_json(value)

    assert paths == sorted((error["path"] for error in caught.value.errors), key=str)


def test_a_model_that_welcomes_unknown_keys_keeps_them():
    def greet(who: Open) -> None: ...

    signature = Signature(greet, "greet")

    assert signature.decode(signature.from_json({"who": {"name": "Ada", "age": 36}}))[1]["who"].model_extra == {
        "age": 36
    }


def test_input_may_use_aliases_or_names():
    def aliased(it: Aliased) -> None: ...

    signature = Signature(aliased, "aliased")

    for key in ("orderNumber", "number"):
        assert signature.decode(signature.from_json({"it": {key: 4}}))[1]["it"].number == 4


def test_the_schema_of_a_signature_is_an_object_by_parameter_name():
    def both(order: Order, count: int = 3, anything=None) -> None: ...

    schema = Signature(both, "both").json_schema()

    assert schema["required"] == ["order"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["order"] == {"$ref": "#/$defs/Order"}
    assert schema["properties"]["count"] == {"type": "integer", "default": 3}
    assert schema["properties"]["anything"] == {"default": None}
    assert {"Order", "Address"} == set(schema["$defs"])


# Errors


class Declined(Exception):
    def __init__(self, reason: str, *, amount: Decimal = Decimal(0)) -> None:
        super().__init__(reason)
        self.amount = amount

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.amount})"

    class Softly(Exception):
        pass


class Unbuildable(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one}{two}")


class Holding(Exception):
    def __init__(self, message: str, held: Any) -> None:
        super().__init__(message, held)
        self.held = held


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def with_notes() -> Exception:
    error = ValueError("no")
    error.add_note("asked twice")
    return error


def with_cause() -> Exception:
    error = ValueError("no")
    error.__cause__ = KeyError("k")
    return error


REBUILT = [
    ValueError("no"),
    ValueError(),
    KeyError(("a", 1)),
    FileNotFoundError(2, "No such file or directory", "x.txt"),
    UnicodeDecodeError("utf-8", NOT_UTF8, 0, 1, "why"),
    json.JSONDecodeError("bad", "{", 1),
    ImportError("no", name="n", path="p"),
    TimeoutError("late"),
    StopIteration(3),
    Declined("no funds", amount=Decimal("1.50")),
    Declined.Softly("sorry"),
    Holding("held", [NOT_UTF8, NOON, Decimal("1.0"), UUID(int=3), (1, (2,)), {"$": 1, 2: math.inf}, None, 10**50]),
    Holding("times", [date(2026, 1, 1), time(1, 2), timedelta(3, 4, 5), NOON.replace(tzinfo=None), -0.0]),
    Holding("zone", datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))),
    ExceptionGroup("several", [ValueError("a"), ExceptionGroup("inner", [Declined("b", amount=Decimal(2))])]),
    with_notes(),
    with_cause(),
    ValueError("nul \0 and surrogate \ud800"),
]


@pytest.mark.parametrize("error", REBUILT, ids=lambda error: type(error).__name__)
def test_an_error_that_can_be_rebuilt_comes_back_as_itself(error):
    text, live = codec.settle_error(error)
    replayed = codec.decode_error(text)

    assert live is error
    assert (type(replayed), str(replayed)) == (type(error), str(error))
    assert repr(vars(error)) == repr(vars(replayed))
    assert repr(error.args) == repr(replayed.args)
    assert repr(error.__cause__) == repr(replayed.__cause__)
    assert "\0" not in text
    text.encode()


def test_a_rebuilt_file_error_still_names_its_file():
    replayed = codec.decode_error(codec.encode_error(FileNotFoundError(2, "gone", "x.txt")))

    assert (replayed.filename, replayed.errno) == ("x.txt", 2)


def local_error() -> Exception:
    class Local(Exception):
        pass

    return Local("no")


def impostor() -> Exception:
    return type("Declined", (Exception,), {"__module__": __name__})("no")


def looped() -> Exception:
    error = Holding("loop", None)
    error.held = error
    return error


def nested_too_deep() -> Exception:
    return Holding("deep", deep())


LOST = [
    (Unbuildable("a", "b"), "ab"),
    (Holding("lock", object()), None),
    (Holding("enum", Colour.RED), None),
    (local_error(), "no"),
    (impostor(), "no"),
    (types.new_class("Gone", (Exception,), {}, lambda body: body.update(__module__="no_such_module"))("no"), "no"),
    (Mute(), "<text not available: RuntimeError>"),
    (Holding("long", 10**5000), None),
    (nested_too_deep(), None),
    (SystemExit(3), "3"),
    (KeyboardInterrupt(), ""),
    (GeneratorExit(), ""),
    (asyncio.CancelledError("x"), "x"),
    (errors.Cancelled("by hand"), "This workflow was cancelled (by hand)."),
    (BaseExceptionGroup("mixed", [SystemExit(1)]), "mixed (1 sub-exception)"),
]


@pytest.mark.parametrize(("error", "message"), LOST, ids=[type(error).__name__ for error, _ in LOST])
def test_any_other_error_is_step_failed_live_and_on_replay(error, message):
    text, live = codec.settle_error(error)
    replayed = codec.decode_error(text)

    assert type(live) is type(replayed) is StepFailed
    assert live.__cause__ is error
    assert (live.type_name, live.message) == (replayed.type_name, replayed.message)
    assert live.type_name == f"{type(error).__module__}.{type(error).__qualname__}"
    assert message is None or live.message == message


def test_an_error_that_holds_itself_ends_somewhere():
    text, live = codec.settle_error(looped())

    assert type(codec.decode_error(text)) is type(live)


def test_exhausted_retries_keep_their_class_when_a_cause_cannot_be_rebuilt():
    error = MaxStepRetriesExceeded(step_name="charge", max_retries=1, causes=[ValueError("a"), Unbuildable("b", "c")])

    text, live = codec.settle_error(error)
    replayed = codec.decode_error(text)

    for seen in (live, replayed):
        assert type(seen) is MaxStepRetriesExceeded
        assert str(seen) == str(error)
        assert [type(cause) for cause in seen.causes] == [ValueError, StepFailed]
        assert isinstance(seen.__cause__, StepFailed)
        assert (seen.step_name, seen.max_retries) == ("charge", 1)


def test_a_group_keeps_its_class_when_a_member_cannot_be_rebuilt():
    text, live = codec.settle_error(ExceptionGroup("g", [ValueError("a"), Unbuildable("b", "c")]))

    for seen in (live, codec.decode_error(text)):
        assert type(seen) is ExceptionGroup
        assert [type(member) for member in seen.exceptions] == [ValueError, StepFailed]


def test_an_error_of_the_main_module_is_rebuilt(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from turbine import codec\n"
        "class Declined(Exception): pass\n"
        "text, live = codec.settle_error(Declined('no'))\n"
        "print(type(live) is Declined, type(codec.decode_error(text)) is Declined)\n"
    )

    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert done.stdout.split() == ["True", "True"]


def test_a_module_that_cannot_be_imported_any_more_gives_step_failed(tmp_path, monkeypatch):
    (tmp_path / "shop_errors_once.py").write_text("class Declined(Exception): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import shop_errors_once

    text = codec.encode_error(shop_errors_once.Declined("no"))
    monkeypatch.delitem(sys.modules, "shop_errors_once")
    (tmp_path / "shop_errors_once.py").write_text("raise SystemExit('not a library')\n")

    replayed = codec.decode_error(text)

    assert isinstance(replayed, StepFailed)
    assert (replayed.type_name, replayed.message) == ("shop_errors_once.Declined", "no")


def test_only_exceptions_are_ever_made_from_a_record():
    text = json.dumps({"type": "subprocess.Popen", "module": "subprocess", "message": "x", "args": [["true"]]})

    assert isinstance(codec.decode_error(text), StepFailed)


def test_the_traceback_is_kept_and_cut_in_the_middle():
    def climb(levels: int) -> None:
        if not levels:
            raise ValueError("at the top")
        (lambda: climb(levels - 1))()

    with pytest.raises(ValueError, match="top") as caught:
        climb(150)
    facts = codec.error_facts(codec.encode_error(caught.value))

    assert facts.traceback is not None
    assert len(facts.traceback) <= 20_000
    assert "characters left out" in facts.traceback
    assert facts.traceback.startswith("Traceback")
    assert facts.traceback.rstrip().endswith("ValueError: at the top")
    assert codec.error_facts(codec.encode_error(caught.value, traceback=False)).traceback is None


def test_a_very_long_message_is_cut_alike_live_and_on_replay():
    text, live = codec.settle_error(ValueError("x" * 1_000_000))
    replayed = codec.decode_error(text)

    assert len(text) < 200_000
    assert str(live) == str(replayed)
    assert isinstance(live, StepFailed)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (KeyError("a"), "KeyError: 'a'"),
        (Declined.Softly("sorry"), "Softly: sorry"),
        (local_error(), "Local: no"),
        (StepFailed("shop.Declined", "no funds"), "Declined: no funds"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("a\0b\ud800"), "ValueError: a\\x00b\\ud800"),
    ],
)
def test_a_list_shows_the_short_type_and_the_message(error, told):
    assert codec.describe_error(codec.encode_error(error)) == told


def test_the_facts_of_step_failed_are_those_of_the_original_error():
    _, live = codec.settle_error(Unbuildable("a", "b"))

    facts = codec.error_facts(codec.encode_error(live))

    assert (facts.type_name, facts.message) == (f"{__name__}.Unbuildable", "ab")


@given(
    st.text(st.characters(), max_size=20), st.lists(st.text(st.characters()) | st.binary() | st.floats(), max_size=3)
)
def test_any_text_and_parts_of_an_error_can_be_stored_and_come_back(message, held):
    error = Holding(message, held)

    text, live = codec.settle_error(error)
    replayed = codec.decode_error(text)

    assert type(live) is type(replayed)
    assert str(live) == str(replayed)
    assert "\0" not in text
    text.encode()
    codec.describe_error(text).encode()


def test_a_signature_is_told_as_python_writes_it():
    def sell(order: Order, *items: list[dict[str, int] | None], speed: Literal["a.b"] = "a.b", **rest: Any) -> None: ...

    expected = "(order: Order, *items: list[dict[str, int] | None], speed: Literal['a.b'] = 'a.b', **rest: Any) -> None"
    assert expected == Signature(sell, "sell").text
