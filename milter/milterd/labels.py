"""Tags and metadata of a message, from its main header, in the dialects of the services we replace.

| header | tags | metadata |
|---|---|---|
| ours, e.g. `X-Franking-Tags`, and `X-MailerSend-Tags` | a list with commas | |
| `X-PM-Tag`, `X-Mailgun-Tag`, `X-Postal-Tag`, Symfony's `X-Tag` | one each | |
| `X-Franking-Metadata-<Key>`, `X-PM-Metadata-<Key>`, Symfony's `X-Metadata-<Key>` | | one value |
| `X-Mailgun-Variables` | | a JSON object |
| `X-SMTPAPI` (SendGrid, JSON) | `category`, text or list | `unique_args` |
| `X-MSYS-API` (SparkPost, JSON) | `tags` | `metadata` |

Both are stored and come back in events; the headers are removed before the message is signed.  What
changes the message or its recipients in such a JSON object is refused: to leave it out silently
would send something else than the customer wrote.  Settings (tracking, pools) are left out.
A tag or a key that several headers give counts once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from milterd import idempotency, tags

MOST_KEYS = 10
LONGEST_KEY = 40
LONGEST_VALUE = 200
LONGEST_METADATA = 2_048  # bytes of all keys and values together
LONGEST_JSON = 16_384  # bytes; SendGrid's unique_args alone may have 10,000

VARIABLES, SENDGRID, SPARKPOST = b"x-mailgun-variables", b"x-smtpapi", b"x-msys-api"
_JSON = (VARIABLES, SENDGRID, SPARKPOST)
_METADATA = (b"x-pm-metadata-", b"x-metadata-")
_UNSUPPORTED = {
    SENDGRID: ("to", "sub", "section", "send_at", "send_each_at"),
    SPARKPOST: ("cc", "bcc", "archive"),
}


@dataclass(frozen=True)
class Labels:
    """What is stored with the message; at most 5 tags and 10 keys."""

    tags: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)


class _Malformed(ValueError):
    """The text is a clause."""


def read(headers: Sequence[tuple[bytes, bytes]], tag_header: str) -> tuple[Labels, list[str]]:
    """(the labels, what is wrong with them); `tag_header` is ours, as the operator named it."""
    unwanted = removable(tag_header)
    relevant = [(name, value) for name, value in headers if unwanted(name.lower())]
    if not relevant:
        return Labels(), []
    reader = _Reader(tag_header)
    for name, value in relevant:
        shown = name.decode("ascii", "replace").replace(",", " ")  # a clause has no comma
        reader.header(shown, name.lower(), value)
    return reader.result()


@functools.lru_cache(64)
def removable(tag_header: str) -> Callable[[bytes], bool]:
    """Tells of a header name in lower case whether it is read here or by `idempotency`."""
    exact = {tag_header.lower().encode(), *tags.LISTS, *tags.SINGLES, *_JSON, *idempotency.NAMES}
    prefixes = _metadata_prefixes(tag_header)
    return lambda name: name in exact or name.startswith(prefixes)


def _metadata_prefixes(tag_header: str) -> tuple[bytes, ...]:
    return (tags.brand_prefix(tag_header) + b"metadata-", *_METADATA)


class _Reader:
    def __init__(self, tag_header: str) -> None:
        self._lists = (tag_header.lower().encode(), *tags.LISTS)
        self._prefixes = _metadata_prefixes(tag_header)
        self._tags: list[str] = []
        self._metadata: dict[str, str] = {}
        self._errors: list[str] = []

    def header(self, shown: str, name: bytes, value: bytes) -> None:
        try:
            if name in self._lists:
                self._add_tags(shown, tags.split([value]))
            elif name in tags.SINGLES:
                self._add_tags(shown, [text] if (text := tags.decoded(value)) else [])
            elif name in _JSON:
                self._json(shown, name, value)
            elif (key := self._key(name, shown)) is not None:
                self._add_metadata(shown, {key: tags.decoded(value)})
        except _Malformed as error:
            self._errors.append(str(error))

    def result(self) -> tuple[Labels, list[str]]:
        found, too_many = tags.checked(self._tags, "the message")
        errors = list(dict.fromkeys([*self._errors, *too_many]))
        size = sum(len(key.encode()) + len(text.encode()) for key, text in self._metadata.items())
        if len(self._metadata) > MOST_KEYS:
            errors.append(f"there are more than {MOST_KEYS} metadata keys")
        elif size > LONGEST_METADATA:
            errors.append(f"the metadata is longer than {LONGEST_METADATA} bytes")
        return (Labels(), errors) if errors else (Labels(found, self._metadata), [])

    def _key(self, name: bytes, shown: str) -> str | None:
        """The key as the client wrote it: events carry it back."""
        prefix = next((prefix for prefix in self._prefixes if name.startswith(prefix)), None)
        return None if prefix is None else shown[len(prefix) :]

    def _json(self, shown: str, name: bytes, value: bytes) -> None:
        found = _object(shown, value)
        if name == VARIABLES:
            self._add_metadata(shown, found)
            return
        for key in _UNSUPPORTED[name]:
            if found.get(key):
                raise _Malformed(f"{shown} contains {key} which this service does not support")
        names, data = ("category", "unique_args") if name == SENDGRID else ("tags", "metadata")
        self._add_tags(shown, _texts(shown, names, found.get(names)))
        metadata = found.get(data) or {}
        if not isinstance(metadata, dict):
            raise _Malformed(f"{data} in {shown} is not a JSON object")
        self._add_metadata(shown, metadata)

    def _add_tags(self, shown: str, found: Sequence[str]) -> None:
        good, errors = tags.checked(found, shown)
        self._tags += good
        self._errors += errors

    def _add_metadata(self, shown: str, found: dict[str, Any]) -> None:
        if len(found) > MOST_KEYS:
            raise _Malformed(f"{shown} has more than {MOST_KEYS} metadata keys")
        for key, value in found.items():
            text = _text(value)
            if not key or len(key) > LONGEST_KEY or not key.isprintable():
                raise _Malformed(
                    f"a metadata key in {shown} is not 1 to {LONGEST_KEY} printable characters"
                )
            if text is None:
                raise _Malformed(f"a metadata value in {shown} is neither text nor a number")
            if len(text) > LONGEST_VALUE:
                raise _Malformed(
                    f"a metadata value in {shown} is longer than {LONGEST_VALUE} characters"
                )
            if not text.isprintable():
                raise _Malformed(f"a metadata value in {shown} contains a control character")
            self._metadata[key] = text


def _object(shown: str, value: bytes) -> dict[str, Any]:
    if len(value) > LONGEST_JSON:
        raise _Malformed(f"{shown} is longer than {LONGEST_JSON} bytes")
    try:
        found = json.loads(tags.decoded(value), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _Malformed(f"{shown} is not a JSON object")
    return found


def _no_constant(name: str) -> None:
    """NaN and Infinity are Python's, not JSON."""
    raise ValueError(name)


def _texts(shown: str, key: str, value: object) -> list[str]:
    """SendGrid takes one text for a list of one."""
    items: Iterable[object] = value if isinstance(value, list) else [value] if value else []
    found = [_text(item) for item in items]
    if None in found:
        raise _Malformed(f"{key} in {shown} is not a list of texts")
    return [text for text in found if text is not None]


def _text(value: object) -> str | None:
    """Numbers and booleans come back as text, as from Postmark; half a character is no text."""
    if isinstance(value, str):
        return None if any("\ud800" <= c <= "\udfff" for c in value) else value
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool | int | float) else None
