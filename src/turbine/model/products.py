"""Products: files that steps have made, and the storages of their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO, Final, Protocol

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment

BLOCK: Final = 1024 * 1024
"""The number of bytes that are read, hashed and written at once; the size of a chunk in the database."""


class ProductStatus(StrEnum):
    """The status of a product."""

    STORED = "stored"
    """Stored, and to be sent if there is a sender."""
    SENT = "sent"
    FAILED = "failed"
    """All attempts to send it have failed; `rt.products.resend` tries again."""


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """A product; also the argument of senders, and the input of the runs of a `WorkflowSender`."""

    id: str
    workflow_id: str
    function_id: int
    """The step that made it, as in `StepInfo.function_id`."""
    function_name: str
    file_name: str
    """The name from the step, for display; it is never used as a path."""
    size: int
    """In bytes."""
    sha256: str
    """The hash of the bytes, in lower-case hex."""
    metadata: dict[str, Any] | None
    status: ProductStatus
    error: str | None
    """Why the last attempt to send it failed."""
    created: Moment

    __pydantic_config__ = DESCRIBED


class ProductUpload(Protocol):
    """An upload into a storage. It blocks, and is used by one thread at a time."""

    def write(self, block: bytes) -> None:
        """Writes the next block; all but the last have `BLOCK` bytes."""
        ...

    def finish(self) -> None:
        """Flushes the bytes, so that they survive a power failure."""
        ...

    def abandon(self) -> None:
        """Closes the upload; `ProductStorages.remove` removes its bytes."""
        ...


class ProductStorages(Protocol):
    """The storages of the bytes of products: the one for new products, and all others with products. Blocks."""

    place: str
    """The storage of new products, as it is recorded."""
    active: set[str]
    """The running uploads of this process."""

    def create(self, id: str) -> ProductUpload:
        """Begins an upload to `place`."""
        ...

    def open(self, place: str, id: str, size: int) -> BinaryIO:
        """Opens the bytes of a product. Raises FileNotFoundError if they are missing."""
        ...

    def remove(self, place: str, id: str) -> None:
        """Removes the bytes of a product or of an unfinished upload, if there are any."""
        ...
