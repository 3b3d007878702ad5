"""What one check of one domain knows: the DNS as it has been asked so far, and the records.

Each question is asked once, however many records want to know: a domain without its records would
otherwise cost its servers a hundred questions, many of them the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from franking.dns.answers import Answer, Lookup
from franking.domains.names import organisational
from franking.domains.records import Record

_PROBE = "franking-wildcard"  # nobody has this name, so only a wildcard answers


class Others(Protocol):
    """What the database knows about everybody."""

    def key_owner(self, public_key: str) -> str | None:
        """`another account` or `another domain`, if a stored DKIM key is somebody else's."""


class Scene:
    def __init__(
        self, records: Sequence[Record], lookup: Lookup, others: Others | None = None
    ) -> None:
        self.records = records
        self.others = others
        self._lookup = lookup
        self._authoritative = cache(lookup.authoritative)
        self._resolved = cache(lookup.resolved)
        self._zone_of = cache(lookup.zone_of)

    def authoritative(self, name: str, type: str) -> Answer:
        return self._authoritative(name, type)

    def resolved(self, name: str, type: str) -> Sequence[Answer]:
        return self._resolved(name, type)

    def ask(self, name: str, type: str) -> Answer:
        """As receivers see it: the first resolver that answers."""
        answers = self.resolved(name, type)
        return next((answer for answer in answers if answer.status != "trouble"), answers[0])

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        return self._lookup.in_zone(zone, name, type)

    def zone_of(self, name: str) -> str | None:
        return self._zone_of(name)

    def zone(self, record: Record) -> str:
        """The real zone that the record's name is in; the sending domain if nobody knows."""
        return self.zone_of(record.name) or record.zone

    def registered(self, record: Record) -> str:
        """The domain that somebody has registered: `example.co.uk` of `mail.example.co.uk`."""
        return organisational(record.zone)

    def is_wildcard(self, name: str, answer: Answer) -> bool:
        """Whether an answer about this name comes from a `*`, so that the name itself is free."""
        probe = f"{_PROBE}.{name.partition('.')[2]}"
        other = self.authoritative(probe, answer.type)
        return (set(other.values), other.aliases[:1]) == (set(answer.values), answer.aliases[:1])
