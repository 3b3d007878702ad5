"""Addresses as reports write them: with a type, in brackets, in one of three encodings."""

from __future__ import annotations

import re

LONGEST = 320  # RFC 5321 §4.5.3.1
PLAIN = re.compile(r"[^\s<>()\[\]\\,;:\"'|@]{1,64}@[^\s<>()\[\]\\,;:\"'|@]{1,255}")
_TYPED = re.compile(r"[ \t]*[a-z0-9-]{1,20}[ \t]*;[ \t]*(.*)", re.I | re.S)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")  # RFC 3461 §4
_UNITEXT = re.compile(r"\\x\{([0-9A-F]{2,6})\}")  # RFC 6533 §3
_BRACKETS = re.compile(r"<([^<>\s]*)>")


def typed(value: str) -> str:
    """A Final-Recipient or an Original-Recipient (RFC 3464 §2.3.2): the address in it."""
    found = _TYPED.match(value)
    return bare(found[1] if found else value)


def bare(value: str) -> str:
    """Without brackets and whatever stands around; empty when it is no address."""
    value = value.strip()
    inside = _BRACKETS.search(value)
    if inside is not None:
        value = inside[1]
    value = _UNITEXT.sub(_character, value)
    value = value.removeprefix("mailto:").strip("\"'")
    words = value.split()
    value = words[0].rstrip(".,;:)") if words else ""
    local, at, domain = value.rpartition("@")
    whole = at and local and domain and len(value) <= LONGEST and value.isprintable()
    return value if whole else ""


def spellings(address: str) -> tuple[str, ...]:
    """In lower case; also with xtext decoded, where some servers have left it as it was in SMTP."""
    lower = address.lower()
    plain = _XTEXT.sub(_character, address).lower() if "+" in address else lower
    return tuple(dict.fromkeys((lower, plain)))


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if 0x20 < number < 0xD800 or 0xDFFF < number < 0x110000 else ""
