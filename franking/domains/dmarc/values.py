"""The values of an aggregate report, from the text of an element; each raises Unreadable."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from franking.domains.dmarc.attachments import Unreadable
from franking.domains.names import to_ascii
from franking.reasons import Invalid

LONGEST_TEXT = 255  # characters of one value
MOST_MESSAGES = 2**31 - 1  # of one record
_LAST = datetime(2200, 1, 1, tzinfo=UTC)


def clean(text: str) -> str:
    """On one line, bounded, without what could not be stored or shown."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split())[:LONGEST_TEXT]


def needed(found: dict[str, str], path: str) -> str:
    value = found.get(path, "")
    if not value:
        raise Unreadable(f"it has no {path.rpartition('/')[2]}")
    return value


def instant(text: str) -> datetime:
    """Seconds since 1970; `12.0` too, as some write it."""
    whole = text.partition(".")[0]
    if not (whole.isascii() and whole.isdecimal() and len(whole) < 12):
        raise Unreadable("its date_range is not in seconds since 1970")
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(whole))
    if at > _LAST:
        raise Unreadable("its date_range is impossible")
    return at


def count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise Unreadable("a record of it has no count, or an impossible one")
    if int(text) > MOST_MESSAGES:
        raise Unreadable("a record of it counts more messages than there are")
    return int(text)


def address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError as error:
        raise Unreadable("a record of it has no source_ip, or an impossible one") from error
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise Unreadable("a record of it has an impossible source_ip")
        return str(address.ipv4_mapped or address)
    return str(address)


def domain_name(text: str) -> str:
    try:
        return to_ascii(text)
    except Invalid as error:
        raise Unreadable("its domain is no domain name") from error


def lenient_domain(text: str) -> str:
    """In lower-case A-labels if it is a domain name, or else bounded as it is."""
    try:
        return to_ascii(text.rpartition("@")[2])
    except Invalid:
        return text.lower()[:253]
