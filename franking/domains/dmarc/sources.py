"""Whose mail is it?  A name for the source of a report's record, from the record alone.

Nothing is looked up: a report of a forger may have thousands of addresses.  A service is known by
what has *passed* in its name (anybody can write a name that fails), or by its addresses; the rest
is told apart by network, `unknown 192.0.2.0/24`.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from franking.domains.dmarc.known import SERVICES, Service
from franking.domains.dmarc.reports import Auth, Row
from franking.domains.names import and_above, within

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

RELAY = "this relay"
UNKNOWN = "unknown "
_PREFIXES = {4: 24, 6: 48}  # what one owner has, more or less


@dataclass(frozen=True)
class Own:
    """What the relay's own mail for one domain bears: its addresses (the ip4: and ip6: of what
    customers' SPF must have), the domains of its envelope senders, the selectors of the domain."""

    domain: str = ""
    networks: tuple[Network, ...] = ()
    senders: tuple[str, ...] = ()
    selectors: frozenset[str] = frozenset()

    def sent(self, row: Row) -> bool:
        if _in(ipaddress.ip_address(row.source_ip), self.networks):
            return True
        if any(each.passed and within(each.domain, self.senders) for each in row.spf):
            return True
        return any(
            each.passed and each.selector in self.selectors and within(each.domain, [self.domain])
            for each in row.dkim
        )


def networks_of(spf: str) -> tuple[Network, ...]:
    """The addresses in SPF mechanisms: `ip4:192.0.2.1 ip6:2001:db8::/32 include:…`."""
    found = []
    for word in spf.split():
        kind, _, text = word.lstrip("+").partition(":")
        if kind.lower() in ("ip4", "ip6"):
            try:
                found.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                continue  # the settings' own check says so
    return tuple(found)


def name_of(row: Row, own: Own) -> str:
    """`this relay`, a known service, or `unknown` and the network."""
    if own.sent(row):
        return RELAY
    named = _named(row.dkim, _BY_SIGNER) or _named(row.spf, _BY_SENDER)
    address = ipaddress.ip_address(row.source_ip)
    return named or _service_at(address) or UNKNOWN + str(_network(address))


def named(rows: Iterable[Row], own: Own) -> list[tuple[str, Row]]:
    """Each row with the name of its source; of a large report this takes long."""
    return [(name_of(row, own), row) for row in rows]


def is_unknown(source: str) -> bool:
    return source.startswith(UNKNOWN)


def _named(results: Iterable[Auth], by_domain: dict[str, str]) -> str | None:
    for result in results:
        if result.passed:
            for domain in and_above(result.domain):
                if domain in by_domain:
                    return by_domain[domain]
    return None


def _service_at(address: Address) -> str | None:
    located = _LOCATED[address.version]
    place = bisect_right(located, int(address), key=lambda each: each[0]) - 1
    if place >= 0 and int(address) <= located[place][1]:
        return located[place][2]
    return None


def _network(address: Address) -> Network:
    return ipaddress.ip_network((address, _PREFIXES[address.version]), strict=False)


def _in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _located(version: int) -> list[tuple[int, int, str]]:
    """First and last address of each service's networks, which do not overlap, in order."""
    found = [
        (int(network[0]), int(network[-1]), service.name)
        for service in SERVICES
        for network in map(ipaddress.ip_network, service.networks)
        if network.version == version
    ]
    return sorted(found)


def _domains(services: Iterable[Service], field: str) -> Iterator[tuple[str, str]]:
    for service in services:
        for domain in getattr(service, field):
            yield domain, service.name


_BY_SIGNER = dict(_domains(SERVICES, "signers"))
_BY_SENDER = dict(_domains(SERVICES, "senders"))
_LOCATED = {version: _located(version) for version in _PREFIXES}
