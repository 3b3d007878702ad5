"""A look-up that stops answering when the time of a request is over.

What is asked then is trouble, which is nobody's proof of anything (`franking.dns.answers`): the
check ends with what it has, and the worker looks again later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from franking.dns.answers import Answer, Lookup

LATE = "there was no time left to ask"


@dataclass(frozen=True)
class Hurried:
    """Implements Lookup over another one until `clock` says `end` (seconds)."""

    lookup: Lookup
    end: float
    clock: Callable[[], float] = time.monotonic

    def authoritative(self, name: str, type: str) -> Answer:
        return self._late(name, type) if self._over else self.lookup.authoritative(name, type)

    def resolved(self, name: str, type: str) -> Sequence[Answer]:
        return [self._late(name, type)] if self._over else self.lookup.resolved(name, type)

    def zone_of(self, name: str) -> str | None:
        return None if self._over else self.lookup.zone_of(name)

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        return self._late(name, type) if self._over else self.lookup.in_zone(zone, name, type)

    @property
    def _over(self) -> bool:
        return self.clock() >= self.end

    @staticmethod
    def _late(name: str, type: str) -> Answer:
        return Answer(name, type, "trouble", problem=LATE)
