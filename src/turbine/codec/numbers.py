"""NaN and the infinities inside strict JSON.

Pydantic can write them as bare words, which keeps them apart from every string but is no JSON: browsers and databases
refuse it. In stored text each is the object `{"$float":"NaN"}`, in values they are floats.
"""

from __future__ import annotations

import re

from turbine.errors import SerializationError

_MARK = '{"$float":"'
# Strings come first, so a bare word inside one is passed over with it.
_BARE = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity')
_MARKED = re.compile(r'\{"\$float":"(NaN|-?Infinity)"\}|"(?:[^"\\]|\\.)*"')


def marked(text: str, what: str) -> str:
    """Strict JSON for text with NaN and infinities as bare words; SerializationError if it has the mark already."""
    if _MARK in text and any(match[1] for match in _MARKED.finditer(text)):
        raise SerializationError(f"{what} contains {_MARK}…, which Turbine keeps for itself; use another key.")
    if "NaN" not in text and "Infinity" not in text:
        return text
    return _BARE.sub(lambda match: match[0] if match[0][0] == '"' else f'{_MARK}{match[0]}"}}', text)


def bare(text: str) -> str:
    """The text with bare words again, as pydantic reads it."""
    if _MARK not in text:
        return text
    return _MARKED.sub(lambda match: match[1] or match[0], text)
