"""What is known of a product: a file that a step made, and where its bytes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO, Final, Protocol

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment

BLOCK: Final = 1024 * 1024
"""Bytes that are read, hashed and written at once; in the database, of one chunk."""


class ProductStatus(StrEnum):
    """What became of a product."""

    STORED = "stored"
    """Kept; on its way when there is a sender."""
    SENT = "sent"
    FAILED = "failed"
    """The sender refused it for the last time; `rt.products.resend` tries again."""


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """A product as its row tells it; also what senders get, and the input of a `WorkflowSender`'s runs."""

    id: str
    workflow_id: str
    function_id: int
    """The step that made it, as in `StepInfo.function_id`."""
    function_name: str
    file_name: str
    """As the step gave it: for people. No path is ever made of it."""
    size: int
    """In bytes."""
    sha256: str
    """Of the bytes, in lower-case hex."""
    metadata: dict[str, Any] | None
    status: ProductStatus
    error: str | None
    """Why the sender failed for the last time."""
    created: Moment

    __pydantic_config__ = DESCRIBED


class ProductUpload(Protocol):
    """Bytes on their way into a storage. Blocks; used by one thread at a time."""

    def write(self, block: bytes) -> None:
        """Take the next block; all but the last have `BLOCK` bytes."""
        ...

    def finish(self) -> None:
        """Return when the bytes would survive a power cut."""
        ...

    def abandon(self) -> None:
        """Let go of what is open; what was written is removed by `ProductStorages.remove`."""
        ...


class ProductStorages(Protocol):
    """Where the bytes of products are: the place for new ones, and every place that rows name. Blocks."""

    place: str
    """Where new products go, as their rows say it."""
    active: set[str]
    """Uploads that are going on in this process."""

    def create(self, id: str) -> ProductUpload:
        """Begin an upload at `place`."""
        ...

    def open(self, place: str, id: str, size: int) -> BinaryIO:
        """The bytes of a product. Raises FileNotFoundError when they are gone."""
        ...

    def remove(self, place: str, id: str) -> None:
        """Remove the bytes of a product, or what an upload has left; fine when there are none."""
        ...
