"""What a report returns of the message that it is about: references of ours, and its Message-ID."""

from __future__ import annotations

import re
from collections.abc import Iterable

from franking.mail.mime import Part
from worker.inbound.fields import Fields

# The local part of a return path of ours, or what it consists of (franking.mail.returnpath).
_REFERENCE = re.compile(r"(?<![a-z0-9-])([a-z2-7]{8,80}-[a-z2-7]{16})(?![a-z0-9-])", re.I)
_OURS = re.compile(r"x-[a-z0-9-]+-ref|return-path|feedback-id|x-envelope-from|x-original-sender")
MOST = 20
_WHOLE = ("message/rfc822", "message/global")
_HEADERS = ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers")


def header(parts: Iterable[Part]) -> Fields:
    """The header of the message that is returned, whole or not; empty without one."""
    for part in parts:
        if part.kind in _WHOLE or part.kind in _HEADERS:
            return Fields.of(part.content[:65_536].lstrip(b"\r\n"))
    return Fields()


def references(*values: str) -> tuple[str, ...]:
    """What looks like a token in these, in lower case."""
    found = (match[1].lower() for value in values for match in _REFERENCE.finditer(value))
    return tuple(dict.fromkeys(found))[:MOST]


def values(original: Fields) -> list[str]:
    """Those of its fields that we put tokens into."""
    return [value for name, value in original if _OURS.fullmatch(name)]


def message_id(original: Fields) -> str:
    found = re.search(r"<[^<>\s]{1,250}>", original.first("message-id"))
    return found[0] if found else ""
