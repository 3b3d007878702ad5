"""Our name and our addresses must belong together: PTR = HELO = A.

Receivers look up the name of the address that connects, and that name's addresses ("forward
confirmed reverse DNS", RFC 8601 §3 `iprev`).  Large ones refuse mail from addresses without it.
"""

from __future__ import annotations

import ipaddress
import re

from franking.deliverability.blocklists import Address
from franking.deliverability.findings import (
    Finding,
    addresses_of,
    fail,
    no_answer,
    ok,
    resolved,
    warn,
)
from franking.dns.answers import Lookup

# What providers name the addresses of their access customers and of unused servers.
_GENERIC_LABEL = re.compile(
    r"(^|[.\d-])(dyn|dynamic|dhcp|dsl|adsl|vdsl|pool|ppp|dial(up|in)?|cable|static|client"
    r"|customer|cust|broadband|unassigned)(?=[.\d-])"
)


def helo(lookup: Lookup, name: str) -> Finding:
    """A full name with an address (RFC 5321 §2.3.5, §4.1.1.1)."""
    if "." not in name or _is_address(name):
        fix = "set Postfix's myhostname to a full name such as out1.example.net"
        return fail("helo", name, f"{name} is not a full host name", fix)
    found, trouble = addresses_of(lookup, name)
    if found:
        return ok("helo", name, f"has {', '.join(found)}")
    if trouble is not None:
        return no_answer("helo", name, trouble)
    fix = f"publish A (and AAAA) of {name} with this node's addresses"
    return fail("helo", name, "has neither A nor AAAA", fix)


def ptr(lookup: Lookup, address: Address, name: str) -> Finding:
    """One of the address's names has the address again, best the one in HELO."""
    subject = str(address)
    answer = resolved(lookup, address.reverse_pointer, "PTR")
    if answer.status == "trouble":
        return no_answer("ptr", subject, answer)
    wanted = f"have your provider set the PTR of {address} to {name}"
    if not answer.values:
        return fail("ptr", subject, "has no PTR", wanted)
    # Somebody else's zone may name thousands.
    names = sorted(answer.values, key=lambda found: found != name)[:10]
    confirmed = [found for found in names if _has(lookup, found, address)]
    told = ", ".join(names)
    if not confirmed:
        kind = "A" if address.version == 4 else "AAAA"
        fix = f"publish {name} {kind} {address}" if name in names else wanted
        return fail("ptr", subject, f"is named {told}, which does not have this address", fix)
    if name not in confirmed:
        return warn("ptr", subject, f"is named {told}, and HELO says {name}", wanted)
    if looks_generic(name, address):
        fix = f"choose a name such as out1.example.net for HELO, A and PTR of {address}"
        return warn("ptr", subject, f"{name} looks like a provider's generic name", fix)
    return ok("ptr", subject, f"{name}, and back")


def looks_generic(name: str, address: Address) -> bool:
    """Made of the address's own digits, or named like an access customer."""
    if _GENERIC_LABEL.search(f"{name.rsplit('.', 2)[0]}."):  # a domain may be called so
        return True
    if address.version == 6:
        return f"{int(address):032x}"[-16:] in re.sub(r"[^0-9a-f]", "", name)
    numbers = [int(number) for number in re.findall(r"\d{1,3}", name)]
    octets = list(address.packed)
    wanted = (octets, octets[::-1])
    return (
        any(numbers[n : n + 4] in wanted for n in range(len(numbers)))
        or f"{int(address):08x}" in name
    )


def _has(lookup: Lookup, name: str, address: Address) -> bool:
    answer = resolved(lookup, name, "A" if address.version == 4 else "AAAA")
    return any(_is_address(value, address) for value in answer.values)


def _is_address(text: str, address: Address | None = None) -> bool:
    """Whether it is one, or is this one however it is written."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address is None or parsed == address
