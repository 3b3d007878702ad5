r"""A DNS server of our own, for what real ones do not do: wrong answers, late ones, none at all.

To questions that wish recursion it is a resolver that knows its own zones and those of its
friends; to others it is the authoritative server of its zones.  One of them is the root: what is in
no other zone does not exist.  Without the root, such questions are refused.  A delegation to a zone
that it has itself is never a referral, as with real servers; for a referral the zone below goes to
another address, on the same port:

    with FakeDns({"shop.test": "sub NS ns.sub\nns.sub A 127.0.0.2"}) as parent:
        below = {"sub.shop.test": …}
        with FakeDns(below, address="127.0.0.2", port=parent.port, root=False) as child:
            parent.friends.append(child)

Zones are master files; SOA, NS and `ns` are added where they are missing.  Records are answered in
their order.  Faults are by name, for the name and all below it (`.`: everything), or by name and
type (`shop.test TXT`: this only):

    servfail refuse    that code                    silence    nothing
    truncated          cut off, whole over TCP      cut        cut off, over TCP as well
    slow               after `delay` seconds        forgetful  the first question is lost
    lame               neither data nor authority   plain      FORMERR to EDNS
    garbage            bytes that are no message    half       a message that ends in the middle
    stranger           an answer to another name    other_id   to another number
    bare               the authority section is empty, as systemd-resolved has it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from dns.message import Message
from dns.name import Name
from dns.rdatatype import RdataType
from dns.rrset import RRset

from tests.dns.endpoint import Endpoint
from tests.dns.zonetext import Zone

CHAIN = 12  # CNAMEs
CODES = {"servfail": dns.rcode.SERVFAIL, "refuse": dns.rcode.REFUSED}
STRANGER = dns.name.from_text("stranger.test")


class FakeDns(Endpoint):
    """Counts the questions in `asked`, by (name, type); `faults` may be changed while it runs."""

    def __init__(
        self,
        zones: Mapping[str, str],
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        faults: Mapping[str, str] = {},
        root: bool = True,
        delay: float = 0.5,
    ) -> None:
        super().__init__(address, port, self._replied)
        self.address = address
        self.faults = dict(faults)
        self.delay = delay
        self.friends: list[FakeDns] = []
        self.asked: Counter[tuple[str, str]] = Counter()
        self._zones: dict[Name, Zone] = {}
        for name, text in [*({".": ""} if root else {}).items(), *zones.items()]:
            self.set_zone(name, text)

    def set_zone(self, name: str, text: str) -> None:
        """In the place of the one that it may have."""
        zone = Zone(name, text, self.address)
        self._zones[zone.origin] = zone

    def remove_zone(self, name: str) -> None:
        del self._zones[dns.name.from_text(name)]

    def __str__(self) -> str:
        """As in the settings."""
        return f"{self.address}@{self.port}"

    def _replied(self, wire: bytes, *, tcp: bool) -> tuple[bytes | None, float]:
        try:
            query = dns.message.from_wire(wire)
            name, type = query.question[0].name, query.question[0].rdtype
        except (dns.exception.DNSException, IndexError):
            return None, 0.0
        key = _text(name), type.name
        self.asked[key] += 1
        fault = self._fault(*key)
        if fault == "silence" or (fault == "forgetful" and self.asked[key] == 1):
            return None, 0.0
        response = dns.message.make_response(query)
        if fault in CODES:
            response.set_rcode(CODES[fault])
        elif fault == "plain" and query.edns >= 0:
            response.use_edns(False)
            response.set_rcode(dns.rcode.FORMERR)
        elif fault != "lame":
            self._fill(response, name, type)
            if fault == "bare":
                response.authority.clear()
        return _wire(response, query, fault, tcp), self.delay if fault == "slow" else 0.0

    def _fault(self, name: str, type: str) -> str:
        labels = name.split(".") if name != "." else []
        ups = [".".join(labels[n:]) for n in range(len(labels))] + ["."]
        found = (self.faults[up] for up in ups if up in self.faults)
        return self.faults.get(f"{name} {type}", next(found, ""))

    def _fill(self, response: Message, name: Name, type: RdataType) -> None:
        recursive = bool(response.flags & dns.flags.RD)
        zones = [self._zones, *(friend._zones for friend in self.friends if recursive)]
        response.flags |= dns.flags.RA if recursive else dns.flags.AA
        for _ in range(CHAIN):
            zone = _closest(zones, name)
            if zone is None:
                if not response.answer:
                    response.set_rcode(dns.rcode.REFUSED)
                    response.flags &= ~dns.flags.AA
                return
            reply = zone.ask(name, type)
            if reply.kind in ("found", "alias"):
                response.answer.extend(_in_order(reply.records))
            if reply.kind != "alias":
                break
            name = reply.records[0].target
        else:
            if recursive:
                response.set_rcode(dns.rcode.SERVFAIL)
            return
        if reply.kind == "referral" and recursive:
            response.set_rcode(dns.rcode.SERVFAIL)  # nobody there whom it could ask
        elif reply.kind == "referral":
            response.flags &= ~dns.flags.AA
            response.authority.extend(_in_order(reply.records))
            response.additional.extend(zone.glue(reply.records))
        elif reply.kind != "found":
            response.authority.extend(_in_order(reply.records))
            if reply.kind == "nxdomain":
                response.set_rcode(dns.rcode.NXDOMAIN)


def _closest(zones: Iterable[Mapping[Name, Zone]], name: Name) -> Zone | None:
    while True:
        for each in zones:
            if name in each:
                return each[name]
        if name == dns.name.root:
            return None
        name = name.parent()


def _in_order(rrset: RRset) -> list[RRset]:
    """One by one: dnspython shuffles the records of a set while it writes them."""
    return [dns.rrset.from_rdata(rrset.name, rrset.ttl, rdata) for rdata in rrset]


def _wire(response: Message, query: Message, fault: str, tcp: bool) -> bytes:
    if fault == "garbage":
        return b"\xff" * 40
    if fault == "stranger":
        asked = response.question[0]
        response.question[0] = dns.rrset.RRset(STRANGER, asked.rdclass, asked.rdtype)
    if fault == "other_id":
        response.id ^= 1
    room = 65_535 if tcp else max(query.payload, 512)
    if fault == "cut" or (fault == "truncated" and not tcp):
        return _cut_off(response)
    try:
        wire = response.to_wire(max_size=room)
    except dns.exception.TooBig:
        return _cut_off(response)
    return wire[: len(wire) // 2] if fault == "half" else wire


def _cut_off(response: Message) -> bytes:
    for section in (response.answer, response.authority, response.additional):
        section.clear()
    response.flags |= dns.flags.TC
    return response.to_wire()


def _text(name: Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
