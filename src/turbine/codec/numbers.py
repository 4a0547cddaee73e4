"""NaN and the infinities in strict JSON.

Pydantic can write them as bare words, which are distinct from every string but invalid JSON: browsers and databases
refuse them. In stored text each is the object `{"$float":"NaN"}`; in values they are floats.
"""

from __future__ import annotations

import re

from turbine.errors import SerializationError

_MARK = '{"$float":"'
# Strings are matched first, so that a bare word inside a string is skipped with it.
_BARE = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity')
_MARKED = re.compile(r'\{"\$float":"(NaN|-?Infinity)"\}|"(?:[^"\\]|\\.)*"')


def marked(text: str, what: str) -> str:
    """Replaces bare words by objects. Raises SerializationError if the text contains such an object already."""
    if _MARK in text and any(match[1] for match in _MARKED.finditer(text)):
        raise SerializationError(f"{what} contains {_MARK}…, which is reserved; use another key.")
    if "NaN" not in text and "Infinity" not in text:
        return text
    return _BARE.sub(lambda match: match[0] if match[0][0] == '"' else f'{_MARK}{match[0]}"}}', text)


def bare(text: str) -> str:
    """Replaces the objects by bare words again, which pydantic reads."""
    if _MARK not in text:
        return text
    return _MARKED.sub(lambda match: match[1] or match[0], text)
