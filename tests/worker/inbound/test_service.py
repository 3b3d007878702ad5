"""Reports that were mailed: stored once, whatever happens on the way."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text

from franking.db import Database
from franking.domains.config import Dmarc
from franking.domains.dmarc.models import DmarcReport
from franking.domains.models import Domain
from franking.mail.config import Inbound
from franking.settings import Settings
from tests import factories
from tests.reports import mailed, xml
from worker.inbound.maildir import Mail
from worker.inbound.service import BATCH, Service


@pytest.fixture
def domain(database: Database) -> Domain:
    with database.transaction() as session:
        return factories.verified_domain(session, factories.account(session))


@pytest.fixture
def service(settings: Settings, tmp_path: Path, domain: Domain) -> Iterator[Service]:
    dmarc = Dmarc(reports="reports.example", longest_report=100_000)
    inbound = Inbound(maildir=tmp_path / "mail", longest_message=100_000)
    made = Service(settings.model_copy(update={"dmarc": dmarc, "inbound": inbound}), Event())
    yield made
    made._database.close()


class Box:
    def __init__(self, place: Path, token: str | None) -> None:
        self.new = place / "mail" / "new"
        self.unreadable = place / "mail" / "unreadable"
        self.new.mkdir(parents=True)
        self._to = f"{token}@reports.example"

    def put(self, name: str, data: bytes, to: str | None = None) -> None:
        (self.new / name).write_bytes(f"Delivered-To: {to or self._to}\n".encode() + data)

    def left(self) -> tuple[list[str], list[str]]:
        """Waiting, and set aside."""
        aside = self.unreadable.iterdir() if self.unreadable.exists() else iter(())
        return sorted(p.name for p in self.new.iterdir()), sorted(p.name for p in aside)


@pytest.fixture
def box(tmp_path: Path, domain: Domain) -> Box:
    return Box(tmp_path, domain.dmarc_token)


def stored(database: Database) -> list[str]:
    with database.session() as session:
        return list(session.scalars(select(DmarcReport.report_id).order_by(DmarcReport.report_id)))


def test_reports_are_stored_and_their_mails_gone(
    service: Service, box: Box, database: Database
) -> None:
    box.put("1", mailed())
    box.put("2", mailed(gzip.compress(xml(report_id="2"))))
    box.put("3", mailed())  # the same again, from a second attempt of the receiver
    assert service.turn() == 3
    assert stored(database) == ["1", "2"]
    assert box.left() == ([], [])
    assert service.turn() == 0


def test_what_is_of_no_use_is_set_aside_and_counted(
    service: Service, box: Box, database: Database
) -> None:
    box.put("1", b"Subject: buy this\n\nnow\n")
    box.put("2", mailed(gzip.compress(b"<feedback>" + b" " * 5_000_000)))
    box.put("3", mailed(gzip.compress(xml(domain="example.org"))))
    box.put("4", mailed(), to="f00@elsewhere.example")
    box.put("5", b"x" * 200_000)
    box.put("6", mailed())
    assert service.turn() == 6
    assert stored(database) == ["1"]
    assert box.left() == ([], ["1", "2", "3", "4", "5"])
    assert service.unusable == 5


def test_mail_to_a_domain_that_was_removed_is_dropped(
    service: Service, box: Box, database: Database
) -> None:
    box.put("1", mailed(), to="0000@reports.example")
    assert service.turn() == 1
    assert (stored(database), box.left()) == ([], ([], []))


def test_trouble_with_the_database_leaves_everything_where_it_is(
    service: Service, box: Box, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.put("1", mailed())
    engine = create_engine(database.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as other:
        other.execute(text("ALTER TABLE dmarc_report RENAME TO away"))
        assert service.turn() == 0
        other.execute(text("ALTER TABLE away RENAME TO dmarc_report"))
    engine.dispose()
    assert box.left() == (["1"], [])
    assert service.turn() == 1
    assert stored(database) == ["1"]


def test_a_crash_after_the_commit_stores_nothing_twice(
    service: Service, box: Box, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.put("1", mailed())

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("worker.inbound.maildir.Maildir.done", die)
        with pytest.raises(KeyboardInterrupt):
            service.turn()
    assert box.left() == (["1"], [])
    assert service.turn() == 1
    assert stored(database) == ["1"]


def test_a_bug_keeps_nobody_waiting(
    service: Service, box: Box, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = service._handlers["report"]

    def take(mail: Mail, now: datetime) -> None:
        if mail.path.name == "1":
            raise ZeroDivisionError
        whole(mail, now)

    monkeypatch.setitem(service._handlers, "report", take)
    box.put("1", mailed())
    box.put("2", mailed())
    assert service.turn() == 2
    assert stored(database) == ["1"]
    assert box.left() == ([], ["1"])


def test_files_that_cannot_be_opened_starve_nobody(
    service: Service, box: Box, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(BATCH):
        box.put(f"1{n:04}", mailed())
        (box.new / f"1{n:04}").chmod(0)
    box.put("2", mailed())
    whole = Path.open

    def as_anybody(self: Path, *arguments: Any, **options: Any) -> Any:
        """root may open everything."""
        if not self.stat().st_mode & 0o400:
            raise PermissionError(self)
        return whole(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", as_anybody)
    assert service.turn() == 0
    assert service.turn() == 1
    assert stored(database) == ["1"]
    assert len(box.left()[0]) == BATCH


def test_it_ends_when_it_is_told(service: Service, box: Box, database: Database) -> None:
    box.put("1", mailed())
    service._stop.set()
    service.run()
    assert box.left() == (["1"], [])
