"""The parts of a message that are no multiparts: linear in its size, whatever it says.

The standard library reads the header fields of a part (RFC 2045, 2231), and nothing more: its
parser of whole messages needs half a minute for 500 kB that are nested, and longer for one long
field.  So lines are found, not parsed, and each header, the depth and the number of parts have a
limit; what lies beyond one is Unreadable.
"""

from __future__ import annotations

import binascii
import email
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from franking.reasons import Refused

LONGEST_HEADER = 65_536  # octets, of the message and of each part
LONGEST_FIELD = 1_000  # octets of it that are looked at
MOST_PARTS = 30
DEEPEST = 6
MOST_TRIES = 1_000  # lines that begin like a boundary
_END_OF_HEADER = re.compile(rb"(?:^|\r?\n)\r?\n")
_FIELDS = re.compile(
    rb"^Content-(?:Type|Transfer-Encoding)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*", re.I | re.M
)
_REST_OF_MARK = re.compile(rb"(--)?[ \t]*\r?(?:$|(?=\n))")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
# What email.message has raised for one malformed field or another.
_MALFORMED = (ValueError, LookupError, AttributeError, TypeError, RecursionError)


class Unreadable(Refused):
    """This is no report that can be used; the text says why."""


@dataclass(frozen=True)
class Part:
    """`kind`: its media type in lower case.  `body` as transferred."""

    header: bytes
    body: bytes
    kind: str
    boundary: bytes
    encoding: str
    charset: str

    @property
    def content(self) -> bytes:
        """The body, decoded."""
        return _decoded(self.body, self.encoding)


def leaves(message: bytes, *, into_messages: bool) -> Iterator[Part]:
    """The parts of it, in order; with `into_messages`, those of a message within it, too.
    Raises Unreadable."""
    left = [(message, 0)]
    count = 0
    while left:
        data, depth = left.pop()
        count += 1
        if count > MOST_PARTS or depth > DEEPEST:
            raise Unreadable("it is no mail with a report: too many parts")
        part = part_of(data)
        if part.kind.startswith("multipart/") and part.boundary:
            parts = _parts(part.body, part.boundary)
            left += [(each, depth + 1) for each in reversed(parts)]
        elif into_messages and part.kind == "message/rfc822":
            left.append((part.body, depth + 1))
        else:
            yield part


def part_of(data: bytes) -> Part:
    """What its header says; raises Unreadable."""
    header, body = _split(data)
    try:
        fields = _described(header)
        return Part(
            header,
            body,
            kind=fields.get_content_type(),
            boundary=fields.get_boundary("").encode("ascii", "ignore"),
            encoding=str(fields.get("Content-Transfer-Encoding", "")).strip().lower(),
            charset=str(fields.get_content_charset("")),
        )
    except _MALFORMED as error:
        raise Unreadable(f"it is a malformed message: {type(error).__name__}") from error


def _split(part: bytes) -> tuple[bytes, bytes]:
    found = _END_OF_HEADER.search(part, 0, LONGEST_HEADER)
    if found is not None:
        return part[: found.end()], part[found.end() :]
    if len(part) > LONGEST_HEADER:
        raise Unreadable("it is no mail with a report: a header without end")
    return part, b""


def _described(header: bytes) -> Message:
    """Its Content-Type and encoding; of each field the first counts, cut at its limit."""
    wanted = b"".join(found[0][:LONGEST_FIELD] + b"\n" for found in _FIELDS.finditer(header))
    return email.message_from_bytes(wanted[: 2 * LONGEST_FIELD])


def _parts(body: bytes, boundary: bytes) -> list[bytes]:
    """RFC 2046 §5.1.1; the last one need not be closed."""
    mark = b"\n--" + boundary
    body = b"\n" + body
    found: list[bytes] = []
    start = None
    at, tries = body.find(mark), 0
    while at >= 0 and len(found) <= MOST_PARTS:
        tries += 1
        if tries > MOST_TRIES:
            raise Unreadable("it is no mail with a report: too many lines like its boundary")
        rest = _REST_OF_MARK.match(body, at + len(mark))
        if rest is not None:
            if start is not None:
                found.append(body[start:at])
            start = rest.end() + 1
            if rest[1]:
                return found
        at = body.find(mark, at + len(mark))
    if start is not None:
        found.append(body[start:])
    return found


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        digits = _NO_BASE64.sub(b"", body)
        digits = digits[: len(digits) - (len(digits) % 4 == 1)]
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    return body
