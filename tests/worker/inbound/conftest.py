"""The worker of inbound mail, with a Postfix that only keeps what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event as Stop

import pytest

from franking.db import Database
from franking.mail.config import Bounces, Inbound
from franking.settings import Settings
from tests.worker.inbound.returning import World, deliver_both
from worker.inbound.service import Service


@pytest.fixture
def world(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    deliver_both(database)
    bounces, inbound = Bounces(domain="b.example"), Inbound(maildir=tmp_path / "mail")
    own = settings.model_copy(update={"bounces": bounces, "inbound": inbound})
    sent: list[tuple[str, bytes]] = []
    monkeypatch.setattr(
        "worker.inbound.passing.sendmail", lambda _: lambda to, data: sent.append((to, data))
    )
    service = Service(own, Stop())
    made = World(database, service, tmp_path / "mail")
    made.sent = sent
    yield made
    service._database.close()
