"""The text of a zone, as the fake server reads it: also zones that no real server would load."""

from __future__ import annotations

from dataclasses import dataclass

import dns.name
import dns.rdataclass
import dns.rrset
import dns.tokenizer
import dns.zonefile
from dns.name import Name
from dns.rdatatype import RdataType
from dns.rrset import RRset

TTL = 300


@dataclass(frozen=True)
class Reply:
    """`kind`: found, alias, nodata, nxdomain or referral; `records`: for the answer section if it
    is one of the first two, else for the authority section."""

    kind: str
    records: RRset


class Zone:
    """SOA, NS and the server's address are added where the text has none."""

    def __init__(self, origin: str, text: str, address: str) -> None:
        self.origin = dns.name.from_text(origin)
        self.records: dict[Name, dict[RdataType, RRset]] = {}
        self.names: set[Name] = {self.origin}  # with those that only others are below
        for rrset in _parsed(text, self.origin):
            self._add(rrset)
        host = dns.name.Name((b"ns", *self.origin.labels))
        apex = self.records.get(self.origin, {})
        if RdataType.SOA not in apex:
            self._added(self.origin, "SOA", f"{host} hostmaster.{host} 1 3600 600 86400 {TTL}")
        if RdataType.NS not in apex:
            self._added(self.origin, "NS", str(host))
            if host not in self.records:
                self._added(host, "AAAA" if ":" in address else "A", address)

    @property
    def soa(self) -> RRset:
        return self.records[self.origin][RdataType.SOA]

    def ask(self, name: Name, type: RdataType) -> Reply:
        """About this one name: CNAMEs are not followed."""
        cut = self._cut(name)
        if cut is not None:
            return Reply("referral", cut)
        here = self._at(name)
        if here is None:
            return Reply("nxdomain", self.soa)
        if type in here:
            return Reply("found", here[type])
        if RdataType.CNAME in here:
            return Reply("alias", here[RdataType.CNAME])
        return Reply("nodata", self.soa)

    def glue(self, referral: RRset) -> list[RRset]:
        return [
            rrset
            for rdata in referral
            for type, rrset in self.records.get(rdata.target, {}).items()
            if type in (RdataType.A, RdataType.AAAA)
        ]

    def _cut(self, name: Name) -> RRset | None:
        """The NS records that are closest below the zone's own, on the way to the name."""
        for depth in range(len(self.origin) + 1, len(name) + 1):
            servers = self.records.get(name.split(depth)[1], {}).get(RdataType.NS)
            if servers is not None:
                return servers
        return None

    def _at(self, name: Name) -> dict[RdataType, RRset] | None:
        """Also what a wildcard has for the name (RFC 4592 §3.3)."""
        if name in self.names:
            return self.records.get(name, {})
        encloser = name
        while encloser not in self.names:
            encloser = encloser.parent()
        wild = self.records.get(dns.name.Name((b"*", *encloser.labels)))
        if wild is None:
            return None
        return {type: _renamed(rrset, name) for type, rrset in wild.items()}

    def _added(self, name: Name, type: str, text: str) -> None:
        self._add(dns.rrset.from_text(name, TTL, "IN", type, text))

    def _add(self, rrset: RRset) -> None:
        self.records.setdefault(rrset.name, {})[rrset.rdtype] = rrset
        name = rrset.name
        while name not in self.names:
            self.names.add(name)
            name = name.parent()


class _Anything(dns.zonefile.RRsetsReaderTransaction):
    def check_put_rdataset(self, check: object) -> None:
        """The reader would refuse other records beside a CNAME."""


def _parsed(text: str, origin: Name) -> list[RRset]:
    manager = dns.zonefile.RRSetsReaderManager(origin, False, dns.rdataclass.IN)
    with _Anything(manager, True, False) as transaction:  # type: ignore[no-untyped-call]
        dns.zonefile.Reader(
            dns.tokenizer.Tokenizer(text),
            dns.rdataclass.IN,
            transaction,
            allow_include=False,
            allow_directives=True,
            default_ttl=TTL,
        ).read()
    return manager.rrsets


def _renamed(rrset: RRset, name: Name) -> RRset:
    return dns.rrset.from_rdata_list(name, rrset.ttl, list(rrset))
