"""DNS lists of bad addresses and domains (RFC 5782).

An answer in 127.0.0.0/8 means listed, save 127.255.255.0/24 (Spamhaus) and 127.0.0.1 (SURBL,
URIBL), with which a list says that it does not serve who asks: mostly public resolvers, and
senders above a volume.  Before a hit is believed, the list is asked for what no list may have
(RFC 5782 §5): a list that was given up often answers yes to everything.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

from franking.deliverability.findings import Check, Finding, fail, ok, plain, unknown
from franking.dns.answers import Lookup

Address = IPv4Address | IPv6Address

NAME = "dnsbl"
NEVER_LISTED = ("127.0.0.1", "::ffff:127.0.0.1", "invalid")  # IPv4, IPv6, domains


def checks_of_address(lookup: Lookup, address: Address, lists: tuple[str, ...]) -> list[Check]:
    never = NEVER_LISTED[0] if address.version == 4 else NEVER_LISTED[1]
    keys = labels(address), labels(ipaddress.ip_address(never))
    return [_check(lookup, str(address), keys, zone) for zone in lists]


def checks_of_domain(lookup: Lookup, domain: str, lists: tuple[str, ...]) -> list[Check]:
    return [_check(lookup, domain, (domain, NEVER_LISTED[2]), zone) for zone in lists]


def labels(address: Address) -> str:
    """192.0.2.1 → `1.2.0.192`; of IPv6 all 32 nibbles, the last first (RFC 5782 §2.4)."""
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def _check(lookup: Lookup, who: str, keys: tuple[str, str], zone: str) -> Check:
    subject = f"{who[:64]} {zone}"
    return Check(NAME, subject, lambda: _ask(lookup, who, keys, zone, subject))


def _ask(lookup: Lookup, who: str, keys: tuple[str, str], zone: str, subject: str) -> Finding:
    answers = lookup.resolved(f"{keys[0]}.{zone}", "A")
    codes = sorted({value for answer in answers for value in answer.values})
    listed = [code for code in codes if means_listed(code)]
    if listed and _lists_everything(lookup, keys[1], zone):
        detail = f"{zone} lists everything, even what no list may have: it was given up"
        return unknown(NAME, subject, detail, f"take {zone} out of the settings")
    if listed:
        said = _text(lookup, f"{keys[0]}.{zone}")
        detail = f"listed ({', '.join(listed)})" + (f": “{said}”" if said else "")
        fix = f"find and stop what got {who} listed, then ask {zone} for its removal"
        return fail(NAME, subject, detail, fix)
    if any(answer.status in ("nxdomain", "nodata") for answer in answers):
        return ok(NAME, subject, "not listed")
    if any(code.startswith("127.") for code in codes):
        detail = f"{zone} does not answer our resolver ({', '.join(codes)})"
        fix = "use a resolver of your own ([dns] resolvers), or take the list out of the settings"
        return unknown(NAME, subject, detail, fix)
    if codes:
        detail = f"{zone} answers {', '.join(codes)}, as no list does"
        fix = "take the list out of the settings, or use a resolver that does not make up answers"
        return unknown(NAME, subject, detail, fix)
    return unknown(NAME, subject, f"no answer: {answers[0].problem}", "it is asked again")


def means_listed(code: str) -> bool:
    return code.startswith("127.") and not code.startswith("127.255.255.") and code != "127.0.0.1"


def _lists_everything(lookup: Lookup, key: str, zone: str) -> bool:
    answers = lookup.resolved(f"{key}.{zone}", "A")
    return any(means_listed(value) for answer in answers for value in answer.values)


def _text(lookup: Lookup, name: str) -> str:
    texts = [value for answer in lookup.resolved(name, "TXT") for value in answer.values]
    return plain(texts[0], 200) if texts else ""
