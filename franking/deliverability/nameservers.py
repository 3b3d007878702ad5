"""Does each name server of a zone really serve it?

A server that was delegated to and does not know the zone ("lame", RFC 1912 §2.8) costs every
resolver a timeout, and a part of them the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import dns.flags
from dns.rdatatype import RdataType

from franking.deliverability.findings import (
    Finding,
    addresses_of,
    fail,
    no_answer,
    ok,
    resolved,
    unknown,
    warn,
)
from franking.dns.answers import Lookup
from franking.dns.config import Dns
from franking.dns.question import Inquiry, Unanswered
from franking.dns.servers import Server

NAME = "nameservers"
MOST = 13  # of one zone; the root has as many


def health(lookup: Lookup, own: Dns, zone: str) -> list[Finding]:
    """Two servers at least (RFC 1034 §4.1), and an authoritative answer from each."""
    answer = resolved(lookup, zone, "NS")
    if answer.status == "trouble":
        return [no_answer(NAME, zone, answer)]
    servers = answer.values[:MOST]
    if not servers:
        fix = "see that the zone's own NS records are those of its delegation"
        return [fail(NAME, zone, "has no NS records", fix)]
    findings = [_count(zone, servers)]
    with ThreadPoolExecutor(MOST, thread_name_prefix=NAME) as pool:
        return findings + list(pool.map(partial(_served, lookup, own, zone), servers))


def _count(zone: str, servers: Sequence[str]) -> Finding:
    if len(servers) < 2:
        fix = "add a second name server, in another network"
        return warn(NAME, zone, f"has one name server only: {servers[0]}", fix)
    return ok(NAME, zone, f"has {len(servers)} name servers")


def _served(lookup: Lookup, own: Dns, zone: str, server: str) -> Finding:
    subject = f"{zone} {server}"
    addresses, trouble = addresses_of(lookup, server)
    if not addresses:
        if trouble is not None:
            return no_answer(NAME, subject, trouble)
        fix = f"publish its address, or take {server} out of the delegation of {zone}"
        return fail(NAME, subject, "has no address", fix)
    # IPv4 first: this host may have no IPv6, which is not the server's fault.
    first = min(addresses, key=lambda address: ":" in address)
    said = _ask(zone, first, own)
    if said is None:
        return ok(NAME, subject, "answers")
    if ":" in first:
        return unknown(NAME, subject, f"{first}: {said}", "has it an IPv4 address, too?")
    fix = f"set up {zone} on {server}, or take the server out of the delegation"
    return warn(NAME, subject, f"does not serve the zone: {said}", fix)


def _ask(zone: str, address: str, own: Dns) -> str | None:
    """None if all is well."""
    server = Server(address, own.authoritative_port)
    try:
        reply = Inquiry(own.timeout).ask(server, zone, RdataType.SOA, recurse=False, tries=2)
    except Unanswered as error:
        return str(error)
    if not reply.flags & dns.flags.AA or not reply.answer:
        return "its answer is not authoritative"
    return None
