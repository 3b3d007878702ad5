"""The relay's names that customers' records and other servers rely on: MX, SPF, the DKIM zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from franking.deliverability import spf
from franking.deliverability.blocklists import Address
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


def mx(lookup: Lookup, domain: str, what: str, ours: Callable[[str], bool], here: str) -> Finding:
    """Mail to `domain` must reach a node of ours.  `what` arrives there; `ours` tells our names and
    addresses; `here` is the name that an MX should have."""
    answer = resolved(lookup, domain, "MX")
    if answer.status == "trouble":
        return no_answer("mx", domain, answer)
    hosts = [value.split()[-1].rstrip(".") for value in answer.values]
    fix = f"publish {domain} MX 10 {here}"
    trouble = None
    for host in hosts or [domain]:  # without MX its own address counts (RFC 5321 §5.1)
        found, troubled = addresses_of(lookup, host)
        if host and (ours(host) or any(ours(address) for address in found)):
            detail = f"{what} come to {host}"
            return ok("mx", domain, detail) if hosts else warn("mx", domain, "has no MX", fix)
        trouble = trouble or troubled
    if trouble is not None:
        return no_answer("mx", domain, trouble)
    told = f"its MX is {', '.join(hosts)}, which is not this relay" if hosts else "has no MX"
    return fail("mx", domain, f"{told}: {what} are lost", fix)


def sender_policy(
    lookup: Lookup, name: str, addresses: Sequence[Address], terms: str | None = None
) -> Finding:
    """Every address of ours must be in it.  `terms`: mechanisms that customers publish; without
    them, the record of `name`."""
    if terms is None:
        records = spf.record_of(lookup, name)
        if records is None:
            return unknown("spf", name, f"no answer about {name} TXT", "it is asked again")
        if len(records) != 1:
            count = "has no SPF record" if not records else f"has {len(records)} SPF records"
            addresses_text = " ".join(_mechanism(address) for address in addresses)
            fix = f"publish one TXT at {name}: v=spf1 {addresses_text} -all"
            return fail("spf", name, count, fix)
        terms = records[0]
    verdicts = {address: spf.permits(lookup, terms, name, address) for address in addresses}
    missing = [address for address, verdict in verdicts.items() if verdict is False]
    if missing:
        fix = f"add {' '.join(_mechanism(address) for address in missing)} to it"
        detail = f"does not allow {', '.join(map(str, missing))}: {terms}"
        return fail("spf", name, detail, fix)
    if None in verdicts.values():
        detail = f"it cannot be told what it allows: {terms}"
        return unknown("spf", name, detail, "no answer, or a macro; it is asked again")
    return ok("spf", name, f"allows {', '.join(map(str, addresses))}")


def _mechanism(address: Address) -> str:
    return f"ip{address.version}:{address}"


def dkim_zone(lookup: Lookup, zone: str, keys: Sequence[tuple[str, str]] = ()) -> Finding:
    """Customers' CNAMEs lead there; when it does not answer, no signature verifies.  `keys`: names
    and texts of some that it must have; a server that was restored may have forgotten them."""
    answer = lookup.authoritative(zone, "SOA")
    if answer.status == "trouble":
        fix = f"delegate {zone} to its name servers, and see that they answer"
        return fail("dkim zone", zone, f"does not answer: {answer.problem}", fix)
    if zone not in answer.values:
        fix = f"make {zone} a zone of its own, and delegate it to its name servers"
        return fail("dkim zone", zone, "is no zone: it has no SOA record", fix)
    answers = [(lookup.authoritative(name, "TXT"), text) for name, text in keys]
    lost = [a.name for a, text in answers if a.status != "trouble" and a.values != (text,)]
    if lost:
        detail = f"{len(lost)} of {len(keys)} keys that it was told of are not there: {lost[0]}"
        fix = "run: franking dkim publish --all (without dkim.update_server: load it again)"
        return fail("dkim zone", zone, detail, fix)
    silent = next((a for a, _ in answers if a.status == "trouble"), None)
    if silent is not None:
        return no_answer("dkim zone", zone, silent)
    there = f", {len(keys)} keys were asked for and are there" if keys else ""
    return ok("dkim zone", zone, f"its name servers answer{there}")


def former_zone(zone: str, count: int, first: str) -> Finding:
    """Who changes `dkim.zone` has customers whose CNAMEs lead to the old one."""
    detail = f"{count} records are not in {zone or 'any zone: dkim.zone is empty'}, such as {first}"
    fix = "keep the old zone as it is until all customers have changed their CNAMEs, or set it back"
    return warn("dkim zone", "former zone", detail, fix)
