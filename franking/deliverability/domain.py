"""Would mail from this domain be believed?  What is not about our records, but about its zone.

The records that we ask a customer for have checks of their own (`franking.domains.checks`).  This
looks at the rest of what receivers look at: replies, block lists, DMARC, name servers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from franking.deliverability import blocklists, nameservers
from franking.deliverability.config import Deliverability
from franking.deliverability.findings import (
    Check,
    Finding,
    addresses_of,
    fail,
    no_answer,
    ok,
    run,
    unknown,
    warn,
)
from franking.dns.answers import Answer, Lookup
from franking.dns.config import Dns
from franking.domains.names import organisational

SHORTEST_TTL, LONGEST_TTL = 60, 86_400  # seconds
MOST_HOSTS = 10


def of_domain(
    name: str, lookup: Lookup, own: Deliverability | None = None, dns: Dns | None = None
) -> list[Finding]:
    """`name` in lower-case A-labels.  Asks the DNS only; never raises."""
    return run(_checks(name, lookup, own or Deliverability(), dns or Dns()))


def _checks(name: str, lookup: Lookup, own: Deliverability, dns: Dns) -> Iterator[Check]:
    yield Check("mx", name, partial(mx, lookup, name))
    yield Check("address", name, partial(address, lookup, name))
    yield Check("dmarc", name, partial(dmarc, lookup, name))
    yield Check("nameservers", name, partial(_nameservers, lookup, dns, name))
    yield Check("ttl", name, partial(ttl, lookup, name))
    yield from blocklists.checks_of_domain(lookup, name, own.domain_blocklists)


def mx(lookup: Lookup, name: str) -> Finding:
    """Replies must arrive, and some receivers refuse senders to whom nobody can reply."""
    answer = lookup.authoritative(name, "MX")
    if answer.status == "trouble":
        return no_answer("mx", name, answer)
    if answer.status == "nxdomain":
        return fail("mx", name, "does not exist in the DNS", "is the domain registered?")
    hosts = [value.split()[-1].rstrip(".") for value in answer.values][:MOST_HOSTS]
    if hosts and not any(hosts):
        fix = "take the null MX away, or send from a domain that takes replies (RFC 7505 §4.2)"
        return warn("mx", name, "has a null MX: it says that it takes no mail", fix)
    return _taken_by(lookup, name, hosts) if hosts else _without_mx(lookup, name)


def _taken_by(lookup: Lookup, name: str, hosts: Sequence[str]) -> Finding:
    unanswered = None
    for host in hosts:
        found, trouble = addresses_of(lookup, host)
        if found:
            return ok("mx", name, f"{host} takes its mail")
        unanswered = unanswered or trouble
    if unanswered is not None:
        return no_answer("mx", name, unanswered)
    return fail("mx", name, f"no address for {', '.join(hosts)}", "correct the MX, or its A record")


def _without_mx(lookup: Lookup, name: str) -> Finding:
    fix = f"publish {name} MX with the server that takes its mail"
    found, trouble = addresses_of(lookup, name)
    if found:  # RFC 5321 §5.1
        return warn("mx", name, "has no MX; its address is tried instead", fix)
    if trouble is not None:
        return no_answer("mx", name, trouble)
    return fail("mx", name, "has neither MX nor address: replies to it bounce", fix)


def address(lookup: Lookup, name: str) -> Finding:
    """Optional: mail does not need it."""
    found, trouble = addresses_of(lookup, name)
    if trouble is not None and not found:
        return no_answer("address", name, trouble)
    return ok("address", name, ", ".join(found) or "has none, and needs none for mail")


def dmarc(lookup: Lookup, name: str) -> Finding:
    """The record that receivers apply: its own, or its organisation's (RFC 7489 §6.6.3)."""
    for domain in dict.fromkeys([name, organisational(name)]):
        place = f"_dmarc.{domain}"
        answer = lookup.authoritative(place, "TXT")
        if answer.status == "trouble":
            return no_answer("dmarc", name, answer)
        records = [text for text in answer.values if text.replace(" ", "").startswith("v=DMARC1")]
        if len(records) > 1:
            fix = "delete all but one: with several, receivers act as if there were none"
            return fail("dmarc", name, f"{place} has {len(records)} DMARC records", fix)
        if records:
            return ok("dmarc", name, f"{place}: {records[0]}")
    fix = f'publish _dmarc.{name} TXT "v=DMARC1; p=none"; large receivers ask it of bulk senders'
    return warn("dmarc", name, "no DMARC record, neither here nor above", fix)


def _nameservers(lookup: Lookup, dns: Dns, name: str) -> Sequence[Finding]:
    zone = lookup.zone_of(name)
    if zone is None:
        detail = "its zone was not found"
        return [unknown(nameservers.NAME, name, detail, "do its name servers answer?")]
    return nameservers.health(lookup, dns, zone)


def ttl(lookup: Lookup, name: str) -> Finding:
    """Too short, and each message costs look-ups that may fail; too long, and mistakes last."""
    places = [(name, "MX"), (name, "A"), (name, "TXT"), (f"_dmarc.{name}", "TXT")]
    answers: list[Answer] = [lookup.authoritative(*place) for place in places]
    found = [answer for answer in answers if answer.status == "found"]
    if not found and any(answer.status == "trouble" for answer in answers):
        return no_answer("ttl", name, answers[0])
    short = [answer for answer in found if answer.ttl < SHORTEST_TTL]
    long = [answer for answer in found if answer.ttl > LONGEST_TTL]
    if short:
        fix = f"{SHORTEST_TTL} seconds at least; 3600 is usual"
        return warn("ttl", name, f"very short: {_told(short)}", fix)
    if long:
        fix = "a day at most: a mistake in them could not be put right for longer than that"
        return warn("ttl", name, f"very long: {_told(long)}", fix)
    return ok("ttl", name, _told(found) or "no records to judge by")


def _told(answers: Sequence[Answer]) -> str:
    return ", ".join(f"{answer.name} {answer.type} {answer.ttl} s" for answer in answers)
