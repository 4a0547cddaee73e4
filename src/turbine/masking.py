"""What is secret in a URL, and texts without it.

Passwords stand in `user:pass@`, in the query (`?password=…`), or in `password=…` of a libpq connection string, and may
hold what should have been percent-encoded (`@`, `/`, `:`, `?`). A library that reads such a URL otherwise than it was
meant quotes pieces of the password in its complaint: as the host, as the port, as an unknown option. So a foreign text
is rid of the whole secret and of all its pieces; to hide too much of it does less harm than to show anything.
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
"""Also what stands behind an `&` that belongs to the secret."""
_WORD = re.compile(r"\S+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:/")
_DELIMITERS = re.compile(r"[/@:?#&=;%\[\]\s'\"\\]+")
_DATABASES = ("postgresql", "postgres", "sqlite")
"""In these a user without a password is no secret; elsewhere it may be a token."""
_PIECE_MIN = 3
"""Characters of a piece of a secret that is hidden wherever it stands; a shorter one only where it is quoted."""


def mask_url(url: str) -> str:
    """A URL, path or connection string with `***` where its password and other secrets stand."""
    scheme, user, secret, rest = _split(url)
    if secret is not None:
        url = f"{scheme}{user}{':' if user else ''}{HIDDEN}@{rest}"
    head, mark, query = url.partition("?")
    if mark:
        head = f"{head}?{'&'.join(_masked_parameters(query))}"
    return _mask_pairs(head)


def mask_text(text: str) -> str:
    """Any text with `***` where a secret of a URL or connection string in it would stand, as far as one can tell."""
    return _mask_pairs(_WORD.sub(_mask_word, text))


def scrub(text: str, *urls: str | None, tokens: Iterable[str | None] = ()) -> str:
    """A foreign text about these URLs without any piece of what is secret in them, and without these tokens."""
    known = [url for url in urls if url]
    for url in known:
        text = text.replace(url, mask_url(url))
    secrets = {secret for url in known for secret in secrets_of(url)} | {token for token in tokens if token}
    for secret in sorted(secrets, key=len, reverse=True):
        text = _without(text, secret)
    return mask_text(text)


def secrets_of(url: str) -> set[str]:
    """The secrets of a URL, as written and decoded, and the pieces that a reader of it may take them apart into."""
    _, user, secret, _ = _split(url)
    found = [] if secret is None else [secret]
    query = url.partition("?")[2]
    was_secret = False
    for parameter in query.split("&") if query else ():
        name, mark, value = parameter.partition("=")
        if mark:
            was_secret = _is_secret(name)
        if was_secret:  # also what stands behind an `&` that belongs to the secret
            found.append(value if mark else parameter)
    found += [url[begin:end].strip("'\"") for begin, end in _pairs(url)]
    whole: set[str] = set()
    for one in found:
        decoded = unquote(one)
        whole |= {one, decoded, unquote_plus(one), quote(decoded, safe=""), quote(decoded)}
    pieces = {piece for one in whole for piece in _DELIMITERS.split(one)}
    return (whole | pieces) - {"", HIDDEN, user}


def _split(url: str) -> tuple[str, str, str | None, str]:
    """Scheme with its slashes, user, secret and what follows the last `@`; no secret where there is none."""
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
    """Where the values of `password=…` and the like stand."""
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
