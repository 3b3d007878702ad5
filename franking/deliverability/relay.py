"""Everything that is asked about this node: its name, its addresses, its listeners.

`examine` asks the world and changes nothing.  Without `deliverability.addresses` it says so in one
warning and looks only at what can be seen from inside: the certificates, the DKIM zone, and those
resolvers that are configured.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from franking.deliverability import (
    addresses,
    blocklists,
    elsewhere,
    listeners,
    relaynames,
    resolvers,
)
from franking.deliverability.findings import Check, Finding, run, warn
from franking.deliverability.listeners import Peer
from franking.dns.answers import Lookup
from franking.domains import lost
from franking.settings import Settings

PATIENCE = 10  # seconds for postconf
NOTHING = lost.Known()


def examine(
    settings: Settings, lookup: Lookup, now: datetime, peers: Sequence[Peer] = (),
    zone: lost.Known = NOTHING,
) -> list[Finding]:  # fmt: skip
    """`peers`: the other nodes (`results.peers`), which may be the MX, too; `zone`: what the
    relay's own zone must have."""
    return run(_checks(settings, lookup, now, peers, zone))


def look_at_others(settings: Settings, peers: Sequence[Peer]) -> list[Finding]:
    """The outside view that this node has of the others' listeners."""
    return run(listeners.reach(settings, peers))


def _checks(
    settings: Settings, lookup: Lookup, now: datetime, peers: Sequence[Peer], known: lost.Known
) -> Iterator[Check]:
    own = settings.deliverability
    if own.addresses or settings.dns.resolvers:
        yield Check("resolver", "", partial(resolvers.each, settings, lookup))
    if own.addresses:
        yield from _names_and_addresses(settings, lookup, peers)
    else:
        yield Check("addresses", "", _not_configured)
    if settings.dkim.zone:
        zone = settings.dkim.zone.lower().removesuffix(".")
        yield Check("dkim zone", zone, partial(relaynames.dkim_zone, lookup, zone, known.keys))
    if known.outside:
        told = partial(relaynames.former_zone, settings.dkim.zone, known.outside, known.first)
        yield Check("dkim zone", "former zone", told)
    yield from listeners.own(settings, now)
    yield from elsewhere.egress(lookup, own)


def _not_configured() -> Finding:
    fix = 'set it, so that PTR, block lists, MX and SPF are checked: addresses = ["192.0.2.1", …]'
    return warn("addresses", "", "deliverability.addresses is not set", fix)


def _names_and_addresses(
    settings: Settings, lookup: Lookup, peers: Sequence[Peer]
) -> Iterator[Check]:
    own = settings.deliverability
    ours = list(dict.fromkeys(own.addresses))
    helo = helo_name(settings)
    yield Check("helo", helo, partial(addresses.helo, lookup, helo))
    for address in ours:
        yield Check("ptr", str(address), partial(addresses.ptr, lookup, address, helo))
    for address in ours:
        yield from blocklists.checks_of_address(lookup, address, own.blocklists)

    known = {helo, settings.smtp.host.lower(), *map(str, ours)}
    known |= {address for peer in peers for address in peer.addresses}
    mine = partial(_among, frozenset(known))
    for domain, what in (
        (settings.bounces.domain, "bounces"),
        (settings.dmarc.reports, "DMARC reports"),
    ):
        if domain:
            yield Check("mx", domain, partial(relaynames.mx, lookup, domain, what, mine, helo))
    policy = relaynames.sender_policy
    if settings.dns.spf:
        terms = settings.dns.spf
        yield Check("spf", terms[:100], partial(policy, lookup, terms[:100], ours, terms))
    if settings.bounces.domain:
        domain = settings.bounces.domain
        yield Check("spf", domain, partial(policy, lookup, domain, ours))


def _among(known: frozenset[str], name: str) -> bool:
    return name.lower() in known


def helo_name(settings: Settings) -> str:
    """What Postfix says in EHLO; where it cannot be asked, the name that customers connect to."""
    if settings.deliverability.helo:
        return settings.deliverability.helo.lower().removesuffix(".")
    configuration = str(settings.maillog.config_directory)
    command = ["postconf", "-c", configuration, "-xh", "smtp_helo_name"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return settings.smtp.host.lower()
    return done.stdout.strip().lower() or settings.smtp.host.lower()
