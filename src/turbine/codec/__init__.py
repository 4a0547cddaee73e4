"""Values and errors as JSON text, such that a replay sees what the first execution saw.

Nothing here does I/O. A payload is strict JSON that both databases can store: no raw NUL, no lone surrogate, no bare
NaN. A value that would not come back as it was is refused; it is never stored as something else.
"""

from turbine.codec.enclosing import Enclosing, enclosing
from turbine.codec.failure import (
    ErrorFacts,
    decode_error,
    describe_error,
    encode_error,
    error_facts,
    recall_error,
    settle_error,
)
from turbine.codec.misfit import Misfit
from turbine.codec.payload import LOOSE, PayloadType, json_value, loose, payload_type
from turbine.codec.signature import Signature, UnresolvedAnnotation, source_of

__all__ = [
    "LOOSE",
    "Enclosing",
    "ErrorFacts",
    "Misfit",
    "PayloadType",
    "Signature",
    "UnresolvedAnnotation",
    "decode_error",
    "describe_error",
    "enclosing",
    "encode_error",
    "error_facts",
    "json_value",
    "loose",
    "payload_type",
    "recall_error",
    "settle_error",
    "source_of",
]
