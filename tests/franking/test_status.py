"""What `franking status` and Prometheus say, with something behind and something wrong."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from franking import status
from franking.db import INCREMENTAL, Base, Database, utcnow
from franking.mail import reading
from franking.mail.config import Inbound
from franking.mail.models import Event, LogPosition
from franking.nodes import nodes, tallies
from franking.nodes.config import Metrics
from franking.nodes.models import AddressBlock
from franking.settings import Maillog, Settings
from tests import factories
from tests.command_line import Cli
from worker.housekeeping.metrics import served

NOW = utcnow()
HOUR = timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/status.db")
    Base.metadata.create_all(made.engine)
    return made


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    (tmp_path / "mail/new").mkdir(parents=True)
    return Settings(
        node="n1",
        maillog=Maillog(path=tmp_path / "mail.log"),
        inbound=Inbound(maildir=tmp_path / "mail"),
        metrics=Metrics(listen="127.0.0.1:0"),
    )


def found(database: Database, own: Settings) -> dict[tuple[str, ...], float]:
    with database.session() as session:
        figures = list(status.figures(session, own, NOW))
    return {(each.name, *each.labels.values()): each.value for each in figures}


def test_nothing_there(database: Database, own: Settings) -> None:
    assert not any(found(database, own).values())


def test_how_far_the_log_was_read(database: Database, own: Settings) -> None:
    log = own.maillog.path
    log.write_bytes(b"x" * 100)
    rotated = log.with_name("mail.log.20261121")
    log.rename(rotated)
    os.utime(rotated, (1, 1))
    log.write_bytes(b"y" * 30)
    position = LogPosition(node="n1", inode=rotated.stat().st_ino, offset=60, head_sha256="",
                           boot_id="", read_at=NOW - HOUR, gap_until=NOW)  # fmt: skip
    with database.transaction() as session:
        session.add(position)
    figures = found(database, own)
    assert figures["log_lag_bytes", "n1"] == 40 + 30
    assert figures["log_lag_seconds", "n1"] == 3600
    assert figures["log_gap", "n1"] == 1
    with database.transaction() as session:
        row = session.get_one(LogPosition, "n1")
        row.inode, row.offset = log.stat().st_ino, 30
    figures = found(database, own)
    assert figures["log_lag_bytes", "n1"] == figures["log_lag_seconds", "n1"] == 0


def test_what_waits(database: Database, own: Settings) -> None:
    (own.inbound.maildir / "new/1").touch()
    os.utime(own.inbound.maildir / "new/1", (0, (NOW - HOUR).timestamp()))
    with database.transaction() as session:
        owner = factories.funded(session)
        username = factories.credential(session, owner).credential.username
        domain = factories.verified_domain(session, owner)
        domain.check_due_at = NOW - HOUR
        factories.message(session, username, domain.id, "Q1", NOW - HOUR)
        reading.place(session, "webhooks")
        nodes.introduce(session, "n2", NOW)
        nodes.drain(session, "n2", "maintenance", NOW)
        tallies.add(session, "n1", "inbound_forged", 7)
        session.add(AddressBlock(node="n1", receiver="example.org", first_at=NOW - HOUR,
                                 last_at=NOW, refusals=3, reply="no", queue_id="Q1"))  # fmt: skip
    figures = found(database, own)
    assert figures["inbound_waiting", "n1"] == 1
    assert figures["inbound_oldest_seconds", "n1"] == pytest.approx(3600)
    assert figures["events_behind", "webhooks"] == 1
    assert figures["events_behind_seconds", "webhooks"] == 3600
    assert figures["reservations", "reserved"] == 1
    assert figures["dns_due", "records"] == 1
    assert figures["node_refuses", "n2"] == 1
    assert figures["tally", "n1", "inbound_forged"] == 7
    assert figures["address_blocked", "n1", "example.org"] == 3


def test_prometheus_reads_the_same(database: Database, own: Settings) -> None:
    with database.transaction() as session:
        tallies.add(session, "n1", "inbound_forged", 7)
    with served(database, own) as port:
        answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
        families = {each.name: each for each in text_string_to_metric_families(answer.text)}
        assert families["franking_up"].samples[0].value == 1
        [sample] = families["franking_tally"].samples
        assert (sample.labels, sample.value) == ({"node": "n1", "what": "inbound_forged"}, 7)
        Base.metadata.drop_all(database.engine)
        answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
        families = {each.name: each for each in text_string_to_metric_families(answer.text)}
        assert set(families) == {"franking_up"}
        assert families["franking_up"].samples[0].value == 0


def test_nobody_is_told(database: Database, own: Settings) -> None:
    silent = own.model_copy(update={"metrics": Metrics()})
    with served(database, silent) as port:
        assert port is None


def test_an_address_that_is_taken_stops_nothing(database: Database, own: Settings) -> None:
    with served(database, own) as port:
        taken = own.model_copy(update={"metrics": Metrics(listen=f"127.0.0.1:{port}")})
        with served(database, taken) as other:
            assert other is None


def test_the_command(ready: Cli) -> None:
    assert {each["name"] for each in ready.ok("status")} >= {
        "webhooks_waiting", "messages_held", "reservations", "dns_due",
    }  # fmt: skip
    assert "webhooks_waiting" in ready.text("status", "--all")


def test_compacting_a_file_of_an_older_version(ready: Cli) -> None:
    """From then on it becomes smaller by itself."""
    path = ready.settings.with_name("f.db")
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA auto_vacuum=NONE")
        old.execute("VACUUM")
        old.execute("CREATE TABLE large AS SELECT zeroblob(4000000)")
        old.execute("DROP TABLE large")
    assert path.stat().st_size > 4_000_000
    ready.text("database", "compact")
    assert path.stat().st_size < 2_000_000
    with closing(sqlite3.connect(path)) as new:
        assert new.execute("PRAGMA auto_vacuum").fetchone() == (INCREMENTAL,)


def test_behind_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that was away for a month is not counted to the end."""
    with database.transaction() as session:
        owner = factories.funded(session)
        session.add_all(
            Event(account_id=owner.id, node="n1", kind="rejected", at=NOW - HOUR * n, detail={})
            for n in range(5, 0, -1)
        )
    monkeypatch.setattr(reading, "MOST_COUNTED", 3)
    with database.session() as session:
        assert reading.behind(session, "nobody") == (3, NOW - HOUR * 5)
        assert len(session.scalars(select(Event.id)).all()) == 5
