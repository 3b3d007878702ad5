"""Source addresses: lists of networks, and one form for an address however it arrives.

An IPv4 client on an IPv6 socket is `::ffff:192.0.2.7` (RFC 4291 §2.5.5.2); here that is
192.0.2.7, in lists too.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from franking.reasons import Invalid

MAPPED = IPv6Network("::ffff:0:0/96")


def network(text: str) -> str:
    """The one way to write this network; raises Invalid with a sentence.

    192.0.2.7 → 192.0.2.7/32; ::FFFF:192.0.2.0/120 → 192.0.2.0/24.
    """
    try:
        found = ip_network(text.strip())
    except ValueError:
        raise Invalid(_objection(text)) from None
    if isinstance(found, IPv6Network) and found.subnet_of(MAPPED):
        first = IPv4Address(int(found.network_address) & 0xFFFF_FFFF)
        found = IPv4Network((first, found.prefixlen - MAPPED.prefixlen))
    if found.prefixlen == 0:
        raise Invalid(f"{text!r} is every address there is; for that, leave the list empty")
    return str(found)


def _objection(text: str) -> str:
    try:
        meant = ip_network(text.strip(), strict=False)
    except ValueError:
        return f"{text!r} is no network; write one like 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32"
    return f"{text!r} says more than its /{meant.prefixlen}; write {meant}"


def address(text: str | None) -> IPv4Address | IPv6Address | None:
    """None when this is no address, as Postfix's `unknown`."""
    try:
        found = ip_address(text or "")
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def source(text: str | None) -> str | None:
    """What counts as one source: an IPv4 address, or an IPv6 /64, all of which one host may have.

    None when this is no address.
    """
    found = address(text)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found) >> 64 << 64, 64)))
    return None if found is None else str(found)


def on_list(client: str | None, networks: Iterable[str]) -> bool:
    """Whether the client's address is in one of these networks (as `network` wrote them)."""
    found = address(client)
    return found is not None and any(found in ip_network(listed) for listed in networks)
