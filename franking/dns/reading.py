"""What a message says, as text.

Whatever strangers have published is read here: bytes that are no text become U+FFFD, line breaks
spaces, so that values may be stored and shown (escaped, and cut to what there is room for: a value
may have 64 kB).  Records come in the order of their text, because servers change theirs from
answer to answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from dns.rdatatype import RdataType

from franking.dns import names
from franking.dns.answers import Answer, Status
from franking.dns.question import Unanswered
from franking.dns.wire import Message

_SPACES = dict.fromkeys(map(ord, "\t\r\n"), " ")
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}") | _SPACES


def answer(
    name: str, type: RdataType, message: Message, server: str = "", aliases: tuple[str, ...] = ()
) -> Answer:
    """Raises Unanswered; `aliases` have led to this answer, and may go on in it."""
    chain = _chain(message)
    aliases += tuple(_value(each[0]) for each in chain.cnames)
    ttl = chain.minimum_ttl
    if chain.answer is None:
        status: Status = "nxdomain" if message.rcode() == dns.rcode.NXDOMAIN else "nodata"
        return Answer(name, type.name, status, aliases=aliases, ttl=ttl, server=server)
    records = sorted(chain.answer, key=_order)
    if type == RdataType.SOA:
        values: tuple[str, ...] = (_host(chain.answer.name),)
    else:
        values = tuple(map(_value, records))
    strings = tuple(map(_strings, records)) if type == RdataType.TXT else ()
    return Answer(name, type.name, "found", values, strings, aliases, ttl, server)


def alias(message: Message) -> str | None:
    """The target of the CNAME that is there instead of what was asked for.

    Raises Unanswered: it leads to itself, or to what is no name.  What the same message says about
    the target is left out: that is its own zone's to say.
    """
    if all(rrset.rdtype != RdataType.CNAME for rrset in message.answer):
        return None
    chain = _chain(message)
    if not chain.cnames:
        return None
    try:
        return names.of(chain.cnames[0][0].target)
    except names.NotAName as error:
        raise Unanswered(f"its CNAME is {error}") from error


def nameservers(message: Message, zone: str) -> tuple[tuple[str, ...], int]:
    """The names in the zone's NS records, be they an answer or a referral, and their TTL."""
    for rrset in message.answer or message.authority:
        if rrset.rdtype == RdataType.NS and _host(rrset.name) == zone:
            return tuple(_host(rdata.target) for rdata in rrset), rrset.ttl
    return (), 0


def glue(message: Message, zone: str) -> Iterator[tuple[RdataType, str, tuple[str, ...], int]]:
    """Type, name, addresses and TTL of hosts in the zone that the server above refers to."""
    for rrset in message.additional:
        host = _host(rrset.name)
        if rrset.rdtype in (RdataType.A, RdataType.AAAA) and names.within(host, zone):
            yield rrset.rdtype, host, tuple(map(_value, rrset)), rrset.ttl


def referral(message: Message, zone: str, name: str) -> str | None:
    """The zone below this one that the server refers to, on the way to the name."""
    if message.answer or message.rcode() or RdataType.SOA in _types(message.authority):
        return None
    for rrset in message.authority:
        below = _host(rrset.name)
        leads_down = below != zone and names.within(below, zone) and names.within(name, below)
        if rrset.rdtype == RdataType.NS and leads_down:
            return below
    return None


def apex(message: Message, name: str) -> tuple[str, int] | None:
    """The name's zone and a TTL, if the answer to a question for its SOA record says so."""
    for rrset in [*message.answer, *message.authority]:
        owner = _host(rrset.name)
        if rrset.rdtype == RdataType.SOA and names.within(name, owner):
            return owner, min(rrset.ttl, rrset[0].minimum)
    return None


def _types(section: list[dns.rrset.RRset]) -> Iterator[RdataType]:
    return (rrset.rdtype for rrset in section)


def _chain(message: Message) -> dns.message.ChainingResult:
    try:
        return message.resolve_chaining()
    except dns.message.ChainTooLong as error:
        raise Unanswered("CNAMEs without end") from error
    except dns.exception.DNSException as error:
        raise Unanswered("an answer that contradicts itself") from error


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _order(rdata: Any) -> tuple[int, str]:
    return getattr(rdata, "preference", 0), _value(rdata)


def _value(rdata: Any) -> str:
    match rdata.rdtype:
        case RdataType.TXT:
            return _text(b"".join(rdata.strings))
        case RdataType.CNAME | RdataType.NS | RdataType.PTR:
            return _host(rdata.target)
        case RdataType.MX:
            return f"{rdata.preference} {_host(rdata.exchange)}"
    return str(rdata.to_text()).translate(_CONTROLS)


def _strings(rdata: Any) -> tuple[str, ...]:
    return tuple(map(_text, rdata.strings))


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace").translate(_CONTROLS)
