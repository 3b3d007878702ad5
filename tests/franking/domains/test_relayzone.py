"""What the relay's own zone shall say, before anybody is told."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.db import Database
from franking.domains import ownership, relayzone
from franking.domains.config import Dkim
from franking.domains.keys import keys_of
from franking.domains.models import Domain, ZoneEntry
from franking.domains.records import RelayNames, dkim_value, expected_records
from tests import factories

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OWN = Dkim(zone="keys.relay.example", ed25519=True)


def domain(session: Session, name: str = "example.com") -> Domain:
    return ownership.add(
        session, factories.account(session), name, master_key=factories.MASTER_KEY, now=NOW,
        dkim=OWN, method="cname",
    )  # fmt: skip


def entries(session: Session) -> dict[str, tuple[str | None, str | None]]:
    rows = session.scalars(select(ZoneEntry)).all()
    return {row.name: (row.value, row.published) for row in rows}


def test_a_row_comes_and_goes(database: Database) -> None:
    with database.transaction() as session:
        relayzone.put(session, "a.relay.example", "v=DMARC1")
        relayzone.withdraw(session, "a.relay.example")
        relayzone.withdraw(session, "never.relay.example")
        assert entries(session) == {}, "nobody was told, so nobody has to be told again"
        entry = relayzone.put(session, "a.relay.example", "one")
        entry.published = "one"
        relayzone.put(session, "a.relay.example", "two")
        assert entries(session) == {"a.relay.example": ("two", "one")}
        relayzone.withdraw(session, "a.relay.example")
        assert entries(session) == {"a.relay.example": (None, "one")}


def test_cnames_lead_to_the_keys_of_that_domain_and_no_other(database: Database) -> None:
    relay = RelayNames(dkim_zone=OWN.zone, slots=("frank1", "frank2", "frank1e", "frank2e"))
    with database.transaction() as session:
        for each in (domain(session), domain(session)):
            keys = keys_of(session, each)
            targets = {
                record.name.partition(".")[0]: record.value
                for record in expected_records(each, keys, relay)
                if record.purpose == "dkim"
            }
            assert set(targets) == set(relay.slots)
            for key in keys:
                assert entries(session)[targets[key.selector]] == (dkim_value(key), None)
        assert len(entries(session)) == 4


def test_inside() -> None:
    assert relayzone.inside("a.relay.example", "relay.example")
    assert not relayzone.inside("arelay.example", "relay.example")
    assert not relayzone.inside("a.relay.example", "")
