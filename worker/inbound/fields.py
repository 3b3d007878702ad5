"""Header fields of a stranger's: `Name: value` lines (RFC 5322 §2.2), unfolded, of one line each.

The header of a message and the blocks of a delivery status or a feedback report have this form.
Bounded in number and length, without control characters, which no database wants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header

MOST_FIELDS = 500  # of one block
LONGEST_VALUE = 2_000  # characters
_LINE_END = re.compile(rb"\r{0,2}\n|\r")
_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]*:")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_BLANK = (b" ", b"\t")
_ENCODED = re.compile(r"=\?[^?\s]+\?[bq]\?", re.I)


class Fields:
    """Names in lower case; of a name that is there twice, `first` gives the first."""

    def __init__(self) -> None:
        self._fields: list[tuple[str, str]] = []

    @classmethod
    def of(cls, data: bytes) -> Fields:
        """Up to the first empty line."""
        return next(blocks(data), None) or cls()

    def __bool__(self) -> bool:
        return bool(self._fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def add(self, name: str, value: str) -> None:
        if len(self._fields) < MOST_FIELDS:
            self._fields.append((name.lower(), value))

    def first(self, *names: str) -> str:
        """Of the first of these names that has a value; empty without."""
        for name in names:
            for key, value in self._fields:
                if key == name and value:
                    return value
        return ""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._fields if key == name]


def blocks(data: bytes) -> Iterator[Fields]:
    """Of each run of lines between empty ones."""
    found = Fields()
    name, value = "", b""
    for line in lines(data):
        if name and line[:1] in _BLANK and line.strip():
            if len(value) < LONGEST_VALUE:
                value += b" " + line[:LONGEST_VALUE]
            continue
        if name:
            found.add(name, text(value)[:LONGEST_VALUE])
        begins = _FIELD.match(line)
        name = begins[1].decode("ascii") if begins else ""
        value = line[begins.end() :][:LONGEST_VALUE] if begins else b""
        if found and not begins and not line.strip():
            yield found
            found = Fields()
    if name:
        found.add(name, text(value)[:LONGEST_VALUE])
    if found:
        yield found


def lines(data: bytes) -> Iterator[bytes]:
    """One at a time: a list of them takes many times the memory of what is in it."""
    start = 0
    for end in _LINE_END.finditer(data):
        yield data[start : end.start()]
        start = end.end()
    yield data[start:]


def text(data: bytes, charset: str = "utf-8") -> str:
    """In this character set, or in UTF-8, as far as that works; on one line."""
    return one_line(decoded(data, charset))


def decoded(data: bytes, charset: str = "utf-8") -> str:
    try:
        return data.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError, TypeError):  # unknown, or an encoding that is no character set
        return data.decode("utf-8", "replace")


def one_line(words: str) -> str:
    return _CONTROLS.sub(" ", words).strip()


def readable(value: str) -> str:
    """With encoded words (RFC 2047) decoded, as in a subject."""
    if not _ENCODED.search(value):
        return value
    try:
        return one_line(str(make_header(decode_header(value))))[:LONGEST_VALUE]
    except (HeaderParseError, LookupError, ValueError, TypeError, AssertionError):
        return value
