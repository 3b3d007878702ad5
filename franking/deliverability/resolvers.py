"""Does each resolver answer?  All of them must see a record before it counts.

So one that is dead keeps every domain from being verified or restored, and every key from its turn,
while mail goes on as before and nobody complains.
"""

from __future__ import annotations

from franking.deliverability.findings import Finding, fail, ok, warn
from franking.dns.answers import Lookup
from franking.settings import Settings

NAME = "resolver"


def each(settings: Settings, lookup: Lookup) -> list[Finding]:
    """Of the configured ones, or else of the host's.  Asked is what every resolver knows, the root;
    a node that has told no address need not be on the Internet, so that nobody answers it."""
    answers = lookup.resolved(".", "SOA")
    alone = all(answer.status == "trouble" for answer in answers)
    tell = warn if alone and not settings.deliverability.addresses else fail
    place = "dns.resolvers" if settings.dns.resolvers else "/etc/resolv.conf, or set dns.resolvers"
    fix = f"have it answer, or remove it from {place}"
    found = []
    for answer in answers:
        if answer.status != "trouble":
            found.append(ok(NAME, answer.server, "answers"))
            continue
        detail = f"does not answer ({answer.problem}): no domain is verified, no key takes its turn"
        found.append(tell(NAME, answer.server, detail, fix))
    return found
