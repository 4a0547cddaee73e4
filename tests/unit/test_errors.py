"""The errors keep their text and facts through copying, pickling and the record."""

from __future__ import annotations

import copy
import pickle

import pytest

from turbine import codec, errors
from turbine.errors import ErrorCode

EXAMPLES: list[errors.TurbineError] = [
    errors.TurbineError("it broke", workflow_id="order-1"),
    errors.NotFound(kind="schedule", id="nightly"),
    errors.NotFound("No such thing.", kind="webhook", id="w1"),
    errors.WorkflowNotFound("order-1"),
    errors.QueueNotFound("mail"),
    errors.NotRegistered("Workflow 'a' is not registered."),
    errors.NotTriggerable(),
    errors.NotInStep(),
    errors.NotInWorkflow(),
    errors.WorkflowConflict(workflow_id="order-1", queue_name="mail"),
    errors.RegistrationConflict(),
    errors.Conflict("The gate is decided."),
    errors.Deduplicated(workflow_id="order-1", queue_name="mail", deduplication_id="d"),
    errors.ShuttingDown(),
    errors.ForkedProcess(),
    errors.AlreadyLaunched(),
    errors.SerializationError("no JSON"),
    errors.StepFailed("shop.Declined", "no funds", step_name="charge"),
    errors.MaxStepRetriesExceeded(step_name="charge", max_retries=1, causes=[ValueError("a"), OSError(2, "gone")]),
    errors.WorkflowFailed("shop.Declined", "no funds", traceback="Traceback …", workflow_id="order-1"),
    errors.AwaitedCancelled(workflow_id="order-1", reason="by hand"),
    errors.DeadLettered(workflow_id="order-1"),
    errors.WorkflowTimeout(workflow_id="order-1"),
    errors.ApprovalTimeout(),
    errors.RecvTimeout(workflow_id="order-1"),
    errors.ValueTimeout(),
    errors.ResultTimeout(workflow_id="order-1"),
    errors.NonDeterministicWorkflow(workflow_id="order-1", position="3", recorded="charge", asked="ship"),
    errors.ValidationFailed(errors=[{"path": ["order", "id"], "message": "Field required", "type": "missing"}]),
    errors.DeliveryFailed(),
    errors.StoreUnavailable("The disk is full."),
    errors.StoreTooNew(),
    errors.StoreInvalid(),
    errors.NotSignedIn(),
    errors.NotAllowed("This needs the role admin."),
    errors.TooManyAttempts(retry_after=30),
]


def facts(error: BaseException) -> dict[str, object]:
    return {name: repr(fact) for name, fact in vars(error).items()}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "again",
    [
        lambda error: pickle.loads(pickle.dumps(error)),
        copy.copy,
        lambda error: codec.decode_error(codec.encode_error(error)),
    ],
    ids=["pickle", "copy", "record"],
)
def test_every_error_comes_back_as_itself(error, again):
    returned = again(error)

    assert type(returned) is type(error)
    assert str(returned) == str(error)
    assert facts(returned) == facts(error)
    assert repr(returned.__cause__) == repr(error.__cause__)


def test_the_examples_cover_every_class():
    public = {
        one
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.TurbineError) and not name.startswith("_")
    }

    assert {type(error) for error in EXAMPLES} == public


def test_facts_that_are_not_known_are_none():
    error = errors.TurbineError("it broke")

    assert (error.workflow_id, error.step_name, error.queue_name) == (None, None, None)
    assert (error.deduplication_id, error.max_retries) == (None, None)


def test_timeouts_are_pythons_timeouts_too():
    for kind in (
        errors.WorkflowTimeout,
        errors.ApprovalTimeout,
        errors.RecvTimeout,
        errors.ValueTimeout,
        errors.ResultTimeout,
    ):
        assert issubclass(kind, TimeoutError)
        assert str(kind("too late", workflow_id="w")) == "too late"


def test_the_numbers_of_the_original_are_kept():
    numbers = {
        errors.WorkflowConflict: 1,
        errors.NotFound: 3,
        errors.WorkflowNotFound: 3,
        errors.QueueNotFound: 3,
        errors.Conflict: 4,
        errors.Cancelled: 5,
        errors.AwaitedCancelled: 7,
        errors.RegistrationConflict: 8,
        errors.DeadLettered: 12,
        errors.MaxStepRetriesExceeded: 13,
        errors.Deduplicated: 14,
    }

    assert numbers == {kind: int(kind.code) for kind in numbers}
    assert all(isinstance(kind.code, ErrorCode) for kind in numbers)


def test_except_exception_lets_a_cancellation_pass():
    assert issubclass(errors.Cancelled, BaseException)
    assert not issubclass(errors.Cancelled, Exception)
    assert errors.Cancelled("by hand").reason == "by hand"
    assert str(errors.Cancelled("by hand")) == "This workflow was cancelled (by hand)."


def test_a_validation_failure_is_a_value_error_and_tells_its_paths():
    error = errors.ValidationFailed(
        what="The input", errors=[{"path": ["order", "id"], "message": "Field required", "type": "missing"}]
    )

    assert isinstance(error, ValueError)
    assert str(error) == "The input is not valid: order.id: Field required"


def test_exhausted_retries_have_all_causes_and_the_last_as_their_cause():
    first, last = ValueError("first"), ValueError("last")
    error = errors.MaxStepRetriesExceeded(step_name="charge", max_retries=1, causes=[first, last])

    assert error.causes == (first, last)
    assert error.__cause__ is last
    assert "'charge'" in str(error)
    assert "last" in str(error)
