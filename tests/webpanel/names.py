"""The DNS as a dictionary, for pages that ask it within a request, and what should be in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import select

from franking.db import Database
from franking.dns.answers import Answer
from franking.domains import ownership
from franking.domains.models import Domain
from franking.domains.records import Record, expected_records


@dataclass
class Names:
    """Implements Lookup; `zones` begin at these names, and nobody answers while `silent`."""

    zones: tuple[str, ...] = ("example.com", "new.example")
    values: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    silent: bool = False
    asked: int = 0

    def publish(self, *records: Record) -> None:
        for record in records:
            self.values[record.name, record.type] = (record.value,)

    def authoritative(self, name: str, type: str) -> Answer:
        self.asked += 1
        if self.silent:
            return Answer(name, type, "trouble", problem="nobody there")
        target = self.values.get((name, "CNAME"))
        if target and type != "CNAME":
            behind = self.authoritative(target[0], type)
            return replace(behind, name=name, aliases=(*target, *behind.aliases))
        values = self.values.get((name, type), ())
        if values:
            strings = tuple((value,) for value in values) if type == "TXT" else ()
            return Answer(name, type, "found", values, strings, ttl=300, server="192.0.2.53")
        known = name in self.zones or any(each == name for each, _ in self.values)
        return Answer(name, type, "nodata" if known else "nxdomain")

    def resolved(self, name: str, type: str) -> Sequence[Answer]:
        return [self.authoritative(name, type)]

    def zone_of(self, name: str) -> str | None:
        if self.silent:
            return None
        within = [zone for zone in self.zones if name == zone or name.endswith(f".{zone}")]
        return max(within, key=len, default="example")

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        return self.authoritative(name, type)


def expected(database: Database, name: str) -> list[Record]:
    with database.session() as session:
        domain = session.scalars(select(Domain).where(Domain.name == name)).one()
        return expected_records(domain, ownership.keys_of(session, domain))
