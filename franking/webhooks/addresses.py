"""Where an endpoint may be: its URL, and the addresses that we connect to.

A customer chooses the URL, our worker connects: without a guard anybody could make it ask the
services of our own network (server-side request forgery).  `checked` refuses at once what can be
told from the URL; what a name leads to is asked at each delivery, by `forbidden`, about the very
address that is then connected to (`worker.webhooks.guard`).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from pydantic import HttpUrl, TypeAdapter, ValidationError

from franking.reasons import Invalid
from franking.webhooks.config import Webhooks

LONGEST = 2000  # characters

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_URL = TypeAdapter(HttpUrl)
# What `is_global` of Python 3.11 lets through, although it leads to, or through, private space:
# https://www.iana.org/assignments/iana-ipv6-special-registry
_MORE = [
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24", "192.88.99.0/24",  # IETF protocols; 6to4 relays
        "::/96", "::ffff:0:0:0/96",  # IPv4-compatible; IPv4-translated (RFC 2765)
        "64:ff9b::/96", "64:ff9b:1::/48",  # NAT64
        "2001::/23", "2002::/16",  # Teredo, ORCHID and others; 6to4
        "3fff::/20", "5f00::/16",  # documentation; segment routing
        "fec0::/10",  # site-local, deprecated
    )
]  # fmt: skip


def forbidden(address: Address) -> bool:
    """Whether this is no address of the public Internet."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if not address.is_global or address.is_multicast:
        return True
    return any(address in network for network in _MORE)


def checked(url: str, rules: Webhooks) -> str:
    """The URL as it is stored: with an ASCII host, numeric hosts written out.  Raises Invalid."""
    try:
        text = str(_URL.validate_python(url.strip()))
    except ValidationError as error:
        raise Invalid.of(
            "url", "an endpoint is an address such as https://example.com/x"
        ) from error
    try:
        parts = urlsplit(text)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise Invalid.of("url", "the address cannot be read") from error
    if len(text) > LONGEST:
        raise Invalid.of("url", f"at most {LONGEST} characters")
    if parts.scheme != "https" and not rules.allow_http:
        raise Invalid.of("url", "the address must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise Invalid.of("url", "no user name or password: put a token into the path instead")
    if parts.fragment:
        raise Invalid.of("url", "a part behind # is never sent; leave it out")
    if rules.ports and port not in rules.ports:
        allowed = ", ".join(map(str, rules.ports))
        raise Invalid.of("url", f"port {port} is not allowed, only {allowed}")
    if not rules.allow_private and _is_private(parts.hostname or ""):
        raise Invalid.of("url", "the address is not one of the public Internet")
    return text


def _is_private(host: str) -> bool:
    """As far as the text tells."""
    try:
        return forbidden(ipaddress.ip_address(host))
    except ValueError:
        return "." not in host or host.rstrip(".").endswith(("localhost", ".local", ".internal"))
