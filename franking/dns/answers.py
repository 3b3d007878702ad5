"""What a question to the DNS has brought, and who can be asked.

Names are lower-case A-labels without the final dot.  A `Lookup` never raises: that nobody has
answered is an answer, too (`trouble`), and nobody's proof of anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["found", "nodata", "nxdomain", "trouble"]


@dataclass(frozen=True)
class Answer:
    """`values`: TXT as text, its strings joined; CNAME, NS, PTR as a name; MX as `10 mx.example`;
    A and AAAA as an address; SOA as the zone's name.  Empty unless `found`.

    `strings`: of TXT, each record's strings as they are split.  `aliases`: the CNAMEs that were
    followed, their targets in order.  `ttl` in seconds, the least.  `server`: who said it.
    `problem`: why, in words, when the status is `trouble`.
    """

    name: str
    type: str
    status: Status
    values: tuple[str, ...] = ()
    strings: tuple[tuple[str, ...], ...] = ()
    aliases: tuple[str, ...] = ()
    ttl: int = 0
    server: str = ""
    problem: str = ""


class Lookup(Protocol):
    """Safe to be used by several threads at once."""

    def authoritative(self, name: str, type: str) -> Answer:
        """What the name's own zone says, CNAMEs followed from zone to zone."""

    def resolved(self, name: str, type: str) -> Sequence[Answer]:
        """What each of the configured resolvers says, in their order; one at least."""

    def zone_of(self, name: str) -> str | None:
        """The zone that the name is in: the closest owner of an SOA record; None for trouble."""

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        """What that zone's servers say, even where another zone is responsible for the name."""
