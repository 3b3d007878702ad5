"""`franking-worker dns`: what the zone's server does not take is told, not every time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from franking import log
from franking.db import Database
from franking.dns.lookups import Resolvers
from franking.domains import relayzone
from franking.domains.config import Dkim
from franking.settings import Settings
from worker.dns.rotation import Rotation

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_the_same_trouble_once_an_hour(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str, int]] = []
    monkeypatch.setattr(log, "zone_not_told", lambda *said: told.append(said))
    now = START
    dkim = Dkim(zone="new.relay.test", update_server="127.0.0.1@9")
    own = settings.model_copy(update={"dkim": dkim})
    rotation = Rotation(database, own, Resolvers(own.dns), clock=lambda: now)
    with database.transaction() as session:
        for name in ("a.old.test", "b.old.test"):
            relayzone.put(session, name, "one")
    for _ in range(119):
        now += timedelta(seconds=30)
        assert rotation.look() is not None
    assert told == [("a.old.test", "is not in new.relay.test", 2)]
    with database.transaction() as session:
        relayzone.put(session, "a.new.relay.test", "two")
    now += timedelta(minutes=2)
    rotation.look()
    assert sorted((name, count) for name, _error, count in told[1:]) == [
        ("a.new.relay.test", 1), ("a.old.test", 2),
    ]  # fmt: skip
