"""Names as text: lower-case A-labels without the final dot; the root is `.`.

Text, because dnspython's names are hashed letter by letter, in Python, and names are looked up in
dictionaries here by the ten thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import dns.exception
import dns.name

ROOT = "."
LONGEST = 253  # octets, without the final dot

_ORDINARY = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)


class NotAName(ValueError):
    """Nothing that could be asked for."""


def plain(text: str) -> str:
    """As everywhere here, U-labels encoded (IDNA 2008); raises NotAName.

    Names whose text needs escapes are refused: nobody has such a name that has to do with mail, and
    so a dot is always the end of a label.
    """
    if len(text) <= LONGEST and _ORDINARY.fullmatch(text):
        return text
    try:
        name = dns.name.from_text(text, dns.name.root, dns.name.IDNA_2008_Practical)
    except (dns.exception.DNSException, ValueError) as error:
        raise NotAName(f"not a name: {error}") from error
    return of(name)


def of(name: dns.name.Name) -> str:
    """Raises NotAName."""
    text = name.to_text(omit_final_dot=True).lower()
    if "\\" in text:
        raise NotAName(f"not a name: {text[:100]}")
    return text


def parent(name: str) -> str:
    """Of the root, the root."""
    return name.partition(".")[2] or ROOT


def upwards(name: str) -> Iterator[str]:
    """The name, its parent and so on; the root is the last."""
    while name != ROOT:
        yield name
        name = parent(name)
    yield ROOT


def within(name: str, zone: str) -> bool:
    """Is the name the zone's, or below it?"""
    return zone in (ROOT, name) or name.endswith(f".{zone}")
