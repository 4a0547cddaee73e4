"""Masks the secrets of URLs and connection strings in texts.

A password is in `user:pass@`, in the query (`?password=…`), or in `password=…` of a libpq connection string, and may
contain characters that should have been percent-encoded (`@`, `/`, `:`, `?`). A library that parses such a URL
differently quotes parts of the password in its error, as the host, the port or an unknown option. So all parts of a
secret are masked in foreign texts: masking too much does less harm than too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote, unquote_plus

HIDDEN = "***"

_WORDS = (
    r"pass(?!file)|pwd|secret|token|credential|signature|api_?key|access_?key|private_?key|shared_?key|account_?key"
)
_IS_SECRET = re.compile(rf"(?i).*(?:{_WORDS}).*|key|sig|auth|code")
_NAME = re.compile(r"(?<![\w.-])([\w.-]{1,60})\s{0,5}=\s{0,5}")
_VALUE = re.compile(r"'(?:[^'\\]|\\.)*'?|\"(?:[^\"\\]|\\.)*\"?|[^&\s]+(?:&[^=&\s]+(?=[&\s]|$))*")
"""Includes the text after an `&` that belongs to the secret."""
_WORD = re.compile(r"\S+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:/")
_DELIMITERS = re.compile(r"[/@:?#&=;%\[\]\s'\"\\]+")
_DATABASES = ("postgresql", "postgres", "sqlite")
"""In these URLs a user without a password is no secret; in others it may be a token."""
_PIECE_MIN = 3
"""The length from which a part of a secret is masked everywhere; shorter parts are masked only in quotes."""


def mask_url(url: str) -> str:
    """Replaces the password and other secrets of a URL, path or connection string by `***`."""
    scheme, user, secret, rest = _split(url)
    if secret is not None:
        url = f"{scheme}{user}{':' if user else ''}{HIDDEN}@{rest}"
    head, mark, query = url.partition("?")
    if mark:
        head = f"{head}?{'&'.join(_masked_parameters(query))}"
    return _mask_pairs(head)


def mask_text(text: str) -> str:
    """Replaces the secrets of URLs and connection strings in a text by `***`, as far as they can be recognised."""
    return _mask_pairs(_WORD.sub(_mask_word, text))


def scrub(text: str, *urls: str | None, tokens: Iterable[str | None] = ()) -> str:
    """Masks every part of the secrets of these URLs, and these tokens, in a text."""
    for url in filter(None, urls):
        text = text.replace(url, mask_url(url))
    secrets = {secret for url in urls if url for secret in secrets_of(url)} | {token for token in tokens if token}
    for secret in sorted(secrets, key=len, reverse=True):
        text = _without(text, secret)
    return mask_text(text)


def secrets_of(url: str) -> set[str]:
    """Returns the secrets of a URL, as values and decoded, and the parts into which a parser may split them."""
    _, user, secret, _ = _split(url)
    values = [] if secret is None else [secret]
    query = url.partition("?")[2]
    was_secret = False
    for parameter in query.split("&") if query else ():
        name, mark, value = parameter.partition("=")
        if mark:
            was_secret = _is_secret(name)
        if was_secret:  # also the text after an `&` that belongs to the secret
            values.append(value if mark else parameter)
    values += [url[begin:end].strip("'\"") for begin, end in _pairs(url)]
    secrets: set[str] = set()
    for text in values:
        decoded = unquote(text)
        secrets |= {text, decoded, unquote_plus(text), quote(decoded, safe=""), quote(decoded)}
    pieces = {piece for text in secrets for piece in _DELIMITERS.split(text)}
    return (secrets | pieces) - {"", HIDDEN, user}


def _split(url: str) -> tuple[str, str, str | None, str]:
    """Splits a URL into scheme with slashes, user, secret (or None), and the rest after the last `@`."""
    scheme, mark, address = url.partition("://")
    if mark:
        slashes = len(address) - len(address.lstrip("/"))
        scheme, address = f"{scheme}://{address[:slashes]}", address[slashes:]
    else:
        scheme, address = "", url
    before = address.partition("?")[0]
    area = before if "@" in before else address
    end = area.rfind("@")
    if end < 0 or address.startswith("["):
        return scheme, "", None, address
    user, mark, secret = address[:end].partition(":")
    if mark:
        return scheme, user, secret, address[end + 1 :]
    if not scheme or scheme.startswith(_DATABASES) or "/" in user:
        return scheme, user, None, address
    return scheme, "", user, address[end + 1 :]


def _masked_parameters(query: str) -> list[str]:
    shown: list[str] = []
    was_secret = False
    for parameter in query.split("&"):
        name, mark, _ = parameter.partition("=")
        if mark:
            was_secret = _is_secret(name)
            shown.append(f"{name}={HIDDEN}" if was_secret else parameter)
        elif not was_secret:
            shown.append(parameter)
    return shown


def _is_secret(name: str) -> bool:
    return _IS_SECRET.fullmatch(unquote(name).strip()) is not None


def _mask_pairs(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for begin, end in _pairs(text):
        pieces += text[done:begin], HIDDEN
        done = end
    return "".join((*pieces, text[done:]))


def _pairs(text: str) -> Iterator[tuple[int, int]]:
    """Yields the spans of the values of `password=…` and the like."""
    at = 0
    while (name := _NAME.search(text, at)) is not None:
        at = name.end()
        value = _VALUE.match(text, at) if _is_secret(name[1]) else None
        if value is not None:
            yield value.span()
            at = value.end()


def _mask_word(match: re.Match[str]) -> str:
    word = match[0]
    scheme = _SCHEME.search(word) if "@" in word or "?" in word else None
    return word if scheme is None else word[: scheme.start()] + mask_url(word[scheme.start() :])


def _without(text: str, secret: str) -> str:
    shown = re.escape(secret)
    if len(secret) < _PIECE_MIN:
        return re.sub(rf"(?<=['\"]){shown}(?=['\"])|(?<![\w*]){shown}(?=@)", HIDDEN, text)
    return re.sub(rf"(?<!\w){shown}(?!\w)" if secret.isalnum() and len(secret) < 6 else shown, HIDDEN, text)
