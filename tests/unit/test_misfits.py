"""Payloads that an earlier version of the code has recorded, read with today's types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    SerializeAsAny,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from typing_extensions import TypedDict

from turbine.codec import LOOSE, Misfit, Signature, loose, payload_type, recall_error
from turbine.codec.payload import PayloadType


class Order(BaseModel):
    name: str
    count: int = 1
    note: str = ""


@dataclass
class OrderData:
    name: str
    count: int = 1
    note: str = ""


class OrderDict(TypedDict):
    name: str
    count: int
    note: str


class Cart(BaseModel):
    orders: list[Order] = []
    by_day: dict[str, OrderData] = {}


# Types of the same name and of another shape: what the code says at a later time.


class Renamed(BaseModel):
    title: str
    count: int = 1


class RenamedWithDefault(BaseModel):
    title: str = ""
    count: int = 1
    note: str = ""


class MoreRequired(BaseModel):
    name: str
    count: int
    note: str
    must: int


class Less(BaseModel):
    name: str


class LessByDesign(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: str


@dataclass
class LessData:
    name: str


class LessDict(TypedDict):
    name: str


class Tight(BaseModel):
    name: Annotated[str, Field(max_length=3)]
    count: int
    note: str


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class LessCart(BaseModel):
    orders: list[Less] = []
    by_day: dict[str, LessData] = {}


class OneWord(BaseModel):
    word: str


class TwoWords(BaseModel):
    word: str
    second: str = ""


class RaisesAnything(BaseModel):
    name: str
    count: int
    note: str

    @field_validator("name")
    @classmethod
    def look(cls, name: str) -> str:
        raise KeyError(name)


AN_ORDER = Order(name="a long name", count=7, note="keep me")
A_CART = Cart(orders=[AN_ORDER], by_day={"monday": OrderData("x", 2, "y")})


@pytest.mark.parametrize(
    ("then", "value", "now", "fields"),
    [
        (Order, AN_ORDER, Renamed, ["title: Field required"]),
        (Order, AN_ORDER, RenamedWithDefault, ["name"]),
        (Order, AN_ORDER, MoreRequired, ["must: Field required"]),
        (Order, AN_ORDER, Less, ["count", "note"]),
        (Order, AN_ORDER, LessByDesign, ["count", "note"]),
        (Order, AN_ORDER, Tight, ["name: String should have at most 3 characters"]),
        (Order, AN_ORDER, Forbidding, ["count: Extra inputs", "note: Extra inputs"]),
        (Order, AN_ORDER, RaisesAnything, ["KeyError"]),
        (Order, AN_ORDER, int, ["int"]),
        (Order, AN_ORDER, type(None), ["NoneType"]),
        (list[Order], [AN_ORDER], list[Less], ["0.count", "0.note"]),
        (dict[str, Order], {"a": AN_ORDER}, dict[str, Less], ["a.count"]),
        (Order | None, AN_ORDER, Less | None, ["count"]),
        (tuple[int, Order], (1, AN_ORDER), tuple[int, Less], ["1.note"]),
        (Cart, A_CART, LessCart, ["orders.0.note", "by_day.monday.count"]),
        (OrderData, OrderData("x", 2, "y"), LessData, ["count", "note"]),
        (OrderDict, {"name": "x", "count": 2, "note": "y"}, LessDict, ["count", "note"]),
        (None, None, Order, ["Order"]),
        (int, 3, str, ["str"]),
        (
            TwoWords,
            TwoWords(word="a", second="b"),
            Annotated[OneWord | TwoWords, Field(union_mode="left_to_right")],
            ["second"],
        ),
    ],
    ids=str,
)
def test_what_was_recorded_by_another_type_is_a_misfit_that_names_the_type_and_the_fields(
    then: Any, value: Any, now: Any, fields: list[str]
) -> None:
    text = payload_type(then).encode(value, "a value")

    with pytest.raises(Misfit) as raised:
        payload_type(now).recall(text, "the recorded output of step 'make'")

    assert "the recorded output of step 'make' does not fit" in str(raised.value)
    assert payload_type(now).name in str(raised.value)
    for words in fields:
        assert words in str(raised.value)


class WithMore(BaseModel):
    name: str
    count: int
    note: str
    extra: int | None = None
    many: list[str] = []


class Translating(BaseModel):
    """It knows what its fields were called before."""

    title: str
    count: int

    @model_validator(mode="before")
    @classmethod
    def translate(cls, data: Any) -> Any:
        if isinstance(data, dict) and "name" in data:
            data = {key: value for key, value in data.items() if key != "note"}
            data["title"] = data.pop("name")
        return data


class Keeping(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Hiding(BaseModel):
    name: str
    count: int
    note: str = Field(exclude=True)


class Wider(BaseModel):
    name: str | int
    count: float
    note: Any


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (WithMore, WithMore(name="a long name", count=7, note="keep me")),
        (Translating, Translating(title="a long name", count=7)),
        (Keeping, Keeping(name="a long name", count=7, note="keep me")),  # pyright: ignore[reportCallIssue]
        (Hiding, Hiding(name="a long name", count=7, note="keep me")),
        (Wider, Wider(name="a long name", count=7.0, note="keep me")),
        (OrderData, OrderData("a long name", 7, "keep me")),
        (dict[str, Any], {"name": "a long name", "count": 7, "note": "keep me"}),
        (Any, {"name": "a long name", "count": 7, "note": "keep me"}),
        (Renamed | Order, AN_ORDER),
        (Less | Order, AN_ORDER),
    ],
    ids=str,
)
def test_a_changed_type_that_takes_all_of_it_fits(now: Any, expected: Any) -> None:
    text = payload_type(Order).encode(AN_ORDER, "a value")

    assert expected == payload_type(now).recall(text, "a value")


# Values of types that are read in another way than they are written.


class Base(BaseModel):
    a: int = 1


class Derived(Base):
    b: int = 2


class WritesMore(BaseModel):
    x: SerializeAsAny[Base]


class WritesBase(BaseModel):
    x: Base


class Computes(BaseModel):
    a: int = 1

    @computed_field
    @property
    def double(self) -> int:
        return self.a * 2


class WritesItself(BaseModel):
    a: int = 1
    nothing: int | None = None

    @model_serializer(mode="wrap")
    def write(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None} | {"kind": "itself"}


class WritesField(BaseModel):
    item: Base

    @field_serializer("item")
    def write(self, item: Base) -> dict[str, Any]:
        return {"a": item.a, "tag": "x"}


class Aliases(BaseModel):
    a: int = Field(alias="A", default=1)
    b: int = Field(validation_alias="BB", default=2)
    c: int = Field(serialization_alias="CC", default=3)
    d: int = Field(exclude=True, default=4)


class Tidies(BaseModel):
    tags: dict[str, int | None] = {}

    @field_validator("tags")
    @classmethod
    def tidy(cls, tags: dict[str, int | None]) -> dict[str, int | None]:
        return {key: value for key, value in tags.items() if value is not None}


def untidy() -> Tidies:
    value = Tidies()
    value.tags = {"a": None, "b": 1}
    return value


class Rooted(RootModel[dict[str, Base]]):
    pass


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    incarnations: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    incarnations: int = 1
    barks: bool = True


@dataclass
class Data:
    a: int = 1
    inner: Base | None = None
    keys: dict[float, str] = field(default_factory=dict)


@dataclass
class MoreData(Data):
    z: int = 9


class Pair(NamedTuple):
    a: int
    b: Base = Base()


class Loose(TypedDict, total=False):
    a: int


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Base, Derived()),
        (WritesMore, WritesMore(x=Derived())),
        (list[WritesMore | None], [WritesMore(x=Derived()), None]),
        (WritesBase, WritesBase(x=Derived())),
        (Computes, Computes()),
        (WritesItself, WritesItself()),
        (WritesField, WritesField(item=Base())),
        (Keeping, Keeping(name="x", zz=3, y={"q": 1})),  # pyright: ignore[reportCallIssue]
        (Aliases, Aliases(A=5, BB=6, d=8)),  # pyright: ignore[reportCallIssue]
        (Tidies, untidy()),
        (Rooted, Rooted({"a": Base()})),
        (Cat | Dog, Dog(barks=False)),
        (Annotated[Cat | Dog, Field(discriminator="kind")], Dog()),
        (Data, Data(inner=Derived(), keys={1: "x"})),
        (Data, MoreData()),
        (Pair, Pair(1)),
        (Loose, {"a": 1, "junk": 2}),
        (Mapping[str, Loose], {"q": {"a": 1, "k": 3}}),
        (dict[float, Base], {1: Derived()}),
        (dict[datetime, Base], {datetime(2026, 1, 1, tzinfo=UTC): Base()}),
        (Sequence[Base], [Derived(), Base()]),
        (set[int], {1, 2}),
        (Path, Path("/x")),
        (Any, {"model": Derived()}),
        (dict, {"model": Derived()}),
    ],
    ids=str,
)
def test_what_a_type_has_recorded_itself_fits_it(annotation: Any, value: Any) -> None:
    kind: PayloadType[Any] = payload_type(annotation)
    text, settled = kind.settle(value, "a value")

    assert settled == kind.recall(text, "a value")


def test_a_text_that_no_type_has_written_may_have_more_than_is_read_and_must_fit_all_the_same() -> None:
    text = '{"name":"x","count":7,"note":"y"}'

    assert Less(name="x") == payload_type(Less).recall(loose(text), "a value")
    with pytest.raises(Misfit, match="count, note"):
        payload_type(Less).recall(text, "a value")
    with pytest.raises(Misfit, match="title"):
        payload_type(Renamed).recall(loose(text), "a value")
    assert f"{LOOSE}1" == loose(loose("1"))


def test_what_others_have_written_is_recorded_as_its_reader_has_it() -> None:
    text, value = payload_type(Less).take('{"name":"x","count":7}', "a value")

    assert ('{"name":"x"}', Less(name="x")) == (text, value)
    assert ("3", 3) == payload_type(int).take("3", "a value")


def test_fields_that_were_passed_over_before_are_not_lost_now() -> None:
    text = '{"name":"x","count":7,"note":"y"}'

    assert Less(name="x") == payload_type(Less).recall(text, "a value", ["count", "note"])
    with pytest.raises(Misfit, match="note"):
        payload_type(Less).recall(text, "a value", ["count"])


def test_arguments_that_fit_no_longer_name_the_parameter_and_the_workflow() -> None:
    def then(order: Order, *rest: Order, count: int = 1) -> None: ...
    def less(order: Less, *rest: Less, count: int = 1) -> None: ...
    def more(order: Order, must: int, *rest: Order, count: int) -> None: ...
    def renamed(order: Order, *rest: Order, number: int = 1) -> None: ...
    def unresolved(order: Nowhere, *rest: Order, count: int = 1) -> None: ...  # noqa: F821

    text = Signature(then, "workflow 'w'").encode((AN_ORDER,), {"count": 3})

    assert ((AN_ORDER,), {"count": 3}) == Signature(then, "workflow 'w'").recall(text)
    for changed, words in [
        (less, "parameter 'order' of workflow 'w' does not fit Less, which would drop the fields count, note"),
        (more, "missing a required argument: 'must'"),
        (renamed, "unexpected keyword argument 'count'"),
        (unresolved, "parameter 'order' of workflow 'w', 'Nowhere', cannot be resolved"),
    ]:
        with pytest.raises(Misfit, match=words):
            Signature(changed, "workflow 'w'").recall(text)
    assert ((Less(name="a long name"),), {"count": 3}) == Signature(less, "workflow 'w'").recall(loose(text))


def test_arguments_are_loose_when_one_of_them_is() -> None:
    def take(more: WritesMore, *, text: str = "") -> None: ...

    signature = Signature(take, "workflow 'w'")

    text = signature.encode((WritesMore(x=Derived()),), {"text": ": , "})
    assert text.startswith(LOOSE)
    assert ((WritesMore(x=Base()),), {"text": ": , "}) == signature.recall(text)
    assert not signature.encode((WritesMore(x=Base()),), {"text": ": "}).startswith(LOOSE)


class Gone(Exception):
    pass


def test_an_error_of_a_type_that_is_gone_is_a_misfit_and_one_that_never_was_itself_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    from turbine.codec import encode_error
    from turbine.errors import StepFailed

    class Local(Exception):
        pass

    gone, local = encode_error(Gone("why")), encode_error(Local("why"))
    assert isinstance(recall_error(gone, "it"), Gone)

    monkeypatch.delattr(sys.modules[__name__], "Gone")

    with pytest.raises(Misfit, match=r"it was the error .*Gone"):
        recall_error(gone, "it")
    assert isinstance(recall_error(local, "it"), StepFailed)
    assert isinstance(recall_error(encode_error(StepFailed("x.Y", "z")), "it"), StepFailed)
