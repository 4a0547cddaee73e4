"""Annotations that are texts and name what only the enclosing functions knew, resolved after these have returned."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

import turbine
from turbine import SerializationError
from turbine.codec import Signature

if TYPE_CHECKING:
    from decimal import Decimal


def signature(workflow: Any) -> Signature:
    return workflow.definition.signature


def local_model() -> Any:
    class Inner(BaseModel):
        n: int

    @turbine.workflow
    async def flow(x: Inner, *more: list[Inner]) -> Inner | None: ...

    return flow


def two_levels() -> Any:
    @dataclass
    class Inner:
        n: int

    def make() -> Any:
        @turbine.workflow
        async def flow(x: Inner) -> dict[str, Inner]: ...

        return flow

    return make()


def defined_further_down() -> Any:
    @turbine.workflow
    async def flow(x: Inner) -> Inner: ...

    class Inner(BaseModel):
        n: int

    return flow


def method_of_a_local_class() -> Any:
    class Inner(BaseModel):
        n: int

    class Shop:
        @turbine.workflow
        async def flow(x: Inner) -> Inner: ...  # pyright: ignore[reportGeneralTypeIssues,reportSelfClsParameterName] # noqa: N805

    return Shop.flow


def data_in_data() -> Any:
    @dataclass
    class Item:
        n: int

    @dataclass
    class Inner:
        n: int
        items: list[Item] | None = None

    @turbine.workflow
    async def flow(x: Inner) -> Inner: ...

    return flow


def typed_dicts() -> Any:
    class Item(TypedDict):
        n: int

    class Inner(TypedDict):
        n: int
        items: list[Item]

    @turbine.workflow
    async def flow(x: Inner) -> Inner: ...

    return flow


def models_that_name_each_other() -> Any:
    class Inner(BaseModel):
        n: int
        other: Optional[Other] = None  # noqa: UP045

    class Other(BaseModel):
        back: Optional[Inner] = None  # noqa: UP045

    @turbine.workflow
    async def flow(x: Inner) -> Inner: ...

    return flow


def local_import() -> Any:
    import decimal

    @turbine.workflow
    async def flow(x: decimal.Decimal) -> decimal.Decimal: ...

    return flow


def through_another_decorator() -> Any:
    import functools

    class Inner(BaseModel):
        n: int

    def logged(fn: Any) -> Any:
        @functools.wraps(fn)
        async def call(*args: Any, **kwargs: Any) -> Any: ...

        return call

    @turbine.workflow(name="other")
    @logged
    async def flow(x: Inner) -> Inner: ...

    return flow


@pytest.mark.parametrize(
    ("factory", "value"),
    [
        (local_model, {"n": 1}),
        (two_levels, {"n": 1}),
        (defined_further_down, {"n": 1}),
        (method_of_a_local_class, {"n": 1}),
        (data_in_data, {"n": 1, "items": [{"n": 2}]}),
        (typed_dicts, {"n": 1, "items": [{"n": 2}]}),
        (models_that_name_each_other, {"n": 1, "other": {"back": {"n": 2}}}),
        (local_import, "1.5"),
        (through_another_decorator, {"n": 1}),
    ],
)
def test_local_types_are_known_after_their_function_has_returned(factory: Callable[[], Any], value: Any) -> None:
    kinds = signature(factory())

    _, arguments = kinds.decode(kinds.from_json({"x": value}))

    again = json.loads(kinds.encode((), arguments), object_pairs_hook=_without_none)
    assert value == again["kwargs"]["x"]
    assert "Decimal" in str(kinds.result.annotation) or "Inner" in str(kinds.result.annotation)


def _without_none(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if value is not None}


def test_a_step_that_is_made_in_a_function_knows_its_types_too() -> None:
    def make() -> Any:
        class Inner(BaseModel):
            n: int

        @turbine.step
        async def step() -> Inner: ...

        return step, Inner

    step, inner = make()

    assert inner is step.definition.result.annotation
    assert inner is step.options(retries=3).definition.result.annotation


def test_each_definition_in_a_loop_has_the_type_of_its_own_turn() -> None:
    class First(BaseModel):
        n: int

    class Second(BaseModel):
        n: int

    flows: list[Any] = []
    for kind in (First, Second):

        @turbine.workflow(name=kind.__name__)
        async def flow(x: kind) -> str:  # pyright: ignore[reportInvalidTypeForm]
            return kind.__name__  # noqa: B023 - the body gets the last one, the annotation its own

        flows.append(flow)

    assert [First, Second] == [type(signature(flow).decode('{"args":[{"n":1}],"kwargs":{}}')[0][0]) for flow in flows]


def test_overrides_of_a_registration_keep_the_local_types() -> None:
    rt = turbine.Runtime("sqlite://:memory:")

    registered = rt.register(local_model(), name="other")

    assert "Inner" == signature(registered).decode('{"args":[{"n":1}],"kwargs":{}}')[0][0].__class__.__name__


def test_a_definition_keeps_no_values_of_its_enclosing_function_alive() -> None:
    class Large:
        pass

    def make() -> Any:
        large = Large()

        class Inner(BaseModel):
            n: int

        @turbine.workflow
        async def flow(x: Inner) -> Inner: ...

        return flow, weakref.ref(large)

    flow, large = make()
    gc.collect()

    assert large() is None
    assert "Inner" in str(signature(flow).result.annotation)


@turbine.workflow
async def only_checked(x: Decimal) -> str:
    return type(x).__name__


class HasUnknown(BaseModel):
    price: Decimal


@turbine.workflow
async def takes_unknown(x: HasUnknown) -> None: ...


@pytest.mark.parametrize("workflow", [only_checked, takes_unknown])
def test_what_cannot_be_resolved_is_an_error_that_names_the_parameter_and_the_type(workflow: Any) -> None:
    with pytest.raises(SerializationError, match=r"'x' of workflow .*Decimal"):
        signature(workflow).encode((1,), {})
    with pytest.raises(SerializationError, match=r"'x' of workflow .*Decimal"):
        signature(workflow).from_json({"x": {"price": "1"}})


def test_a_name_that_cannot_be_resolved_is_a_type_error_too() -> None:
    with pytest.raises(TypeError, match="only under TYPE_CHECKING"):
        signature(only_checked).encode((1,), {})
