"""Connections to hosts that are not, or may not be, ours: the way out on port 25, and any host."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from functools import partial

from franking.deliverability import certificates
from franking.deliverability.config import Deliverability
from franking.deliverability.findings import Check, Finding, addresses_of, fail, no_answer, ok
from franking.deliverability.visit import Door, NoStarttls, Tls, trusting, visit
from franking.dns.answers import Lookup

STANDARD_PORTS: dict[int, Tls] = {
    25: "starttls", 465: "implicit", 587: "starttls", 2525: "starttls"
}  # fmt: skip
TRIED = 4  # addresses of one host


def egress(lookup: Lookup, own: Deliverability) -> list[Check]:
    """Can we deliver at all?  Many providers block outgoing port 25."""
    return [
        Check("egress", where, partial(_egress, lookup, where, own.timeout)) for where in own.egress
    ]


def _egress(lookup: Lookup, where: str, patience: float) -> Finding:
    host, _, number = where.partition("@")
    port = int(number or 25)
    found = locate(lookup, "egress", host)
    if isinstance(found, Finding):
        return found
    said = ""
    for address in found[:TRIED]:
        door = Door(address, port, "none", host)
        try:
            seen = visit(door, patience)
        except OSError as error:
            said = f"{door.place}: {error}"
        else:
            return ok("egress", where, seen.greeting)
    fix = "ask your provider to open outgoing port 25; until then nothing is delivered directly"
    return fail("egress", where, f"no connection: {said}", fix)


def locate(lookup: Lookup, name: str, host: str) -> tuple[str, ...] | Finding:
    """The addresses of a host, or the finding, of that name, that it has none."""
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        pass
    found, trouble = addresses_of(lookup, host)
    if found:
        return found
    if trouble is not None:
        return no_answer(name, host, trouble)
    return fail(name, host, "has neither A nor AAAA", "is the name right?")


def probe(
    lookup: Lookup, own: Deliverability, host: str, ports: dict[int, Tls], now: datetime
) -> list[Check]:
    """Greeting, TLS and certificate at these ports of each address of a host."""
    found = locate(lookup, "probe", host)
    if isinstance(found, Finding):
        return [Check("probe", host, lambda: found)]
    doors = [Door(address, port, tls, host) for address in found for port, tls in ports.items()]
    return [Check("probe", door.place, partial(_probe, own, door, now)) for door in doors]


def _probe(own: Deliverability, door: Door, now: datetime) -> list[Finding]:
    try:
        seen = visit(door, own.timeout, roots=trusting(own.ca_file))
    except NoStarttls as error:
        fix = "give it a certificate, or see what on the way hides STARTTLS"
        return [fail("probe", door.place, f"offers no STARTTLS: {error}", fix)]
    except OSError as error:
        return [fail("probe", door.place, f"nobody answers: {error}", "is the port open to you?")]
    judged = certificates.judge(door.place, seen, door.name, now)
    return [ok("probe", door.place, seen.greeting), judged]
