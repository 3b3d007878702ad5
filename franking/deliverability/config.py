"""The section `[deliverability]` of the settings: what the Internet is to find at this node."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_PLACE = re.compile(r"[0-9A-Za-z:._-]{1,180}(@[1-9][0-9]{0,4})?")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+")


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.lower().removesuffix(".") for name in names)
    for name in names:
        if len(name) > 180 or not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a list such as zen.spamhaus.org")
    return tuple(dict.fromkeys(names))


def _places(places: tuple[str, ...]) -> tuple[str, ...]:
    for place in places:
        if not _PLACE.fullmatch(place) or int(place.partition("@")[2] or 25) > 65_535:
            raise ValueError(f"{place!r} is neither a host nor host@port")
    return tuple(dict.fromkeys(places))


Names = Annotated[tuple[str, ...], AfterValidator(_names)]


class Deliverability(BaseModel):
    """Without `addresses` nobody is asked about this node, and no list hears of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    addresses: tuple[IPv4Address | IPv6Address, ...] = Field(
        (), description="this node's public addresses, IPv4 and IPv6, that its mail comes from"
    )
    helo: str = Field("", description="what this node says in EHLO; none: as Postfix is configured")
    listener_address: str = Field(
        "127.0.0.1", description="where this node reaches its own listeners to see their TLS"
    )
    ca_file: Path | None = Field(
        None, description="certificate authorities to trust besides the host's, PEM"
    )
    blocklists: Names = Field(
        ("zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com", "dnsbl.dronebl.org"),
        description="DNS lists of addresses to ask; IPv6 addresses are asked for, too",
    )
    domain_blocklists: Names = Field(
        ("dbl.spamhaus.org", "multi.surbl.org"), description="DNS lists of domains to ask"
    )
    egress: Annotated[tuple[str, ...], AfterValidator(_places)] = Field(
        (), description="mail servers of others, host or host@port, that port 25 is tried with"
    )
    timeout: float = Field(10.0, gt=0, le=60, description="seconds for one connection")
