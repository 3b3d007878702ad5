"""Who has not answered lately.

A server that was silent is asked last for a minute.  A zone all of whose servers were silent, about
two names, is left alone for a moment: each of a domain's records would else cost all the patience
that one look-up has.
"""

from __future__ import annotations

from franking.dns.remembered import Remembered
from franking.dns.servers import Server

LATE = 60  # seconds that a server is asked last
MOMENT = 20  # seconds that a zone is left alone
NAMES = 2  # silence about one may be that name's fault, or the network's


class Silence:
    def __init__(self) -> None:
        self._servers = Remembered[bool]()
        self._zones = Remembered[tuple[frozenset[str], str]]()  # names, and what was told

    def is_late(self, server: Server) -> bool:
        return self._servers.get(str(server)) is not None

    def of(self, server: Server) -> bool:
        """It was silent just now; is that news?"""
        is_new = not self.is_late(server)
        self._servers.put(str(server), True, LATE)
        return is_new

    def of_zone(self, zone: str, name: str, told: str) -> None:
        """All its servers were, about that name; `told`: their names, for the next who asks."""
        names, _ = self._zones.get(zone) or (frozenset(), "")
        self._zones.put(zone, (names | {name}, told), MOMENT)

    def is_broken(self, zone: str) -> None:
        self._zones.drop(zone)

    def about(self, zone: str) -> str | None:
        """What is to be told about a zone that is left alone."""
        names, told = self._zones.get(zone) or (frozenset(), "")
        return told if len(names) >= NAMES else None
