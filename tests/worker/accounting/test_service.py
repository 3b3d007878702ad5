"""`franking-worker accounting`: a file at the end of each period, users at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from pydantic import ValidationError

from franking.accounting import access
from franking.accounting.config import Accounting
from franking.accounting.cutting import Cutter
from franking.db import Database
from franking.nodes import duties
from franking.settings import Settings, SettingsError
from tests import factories
from worker.accounting import service
from worker.accounting.service import Service

NINE = datetime(2099, 1, 5, 9, tzinfo=UTC)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NINE + timedelta(minutes=10)
        monkeypatch.setattr(service, "utcnow", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def rules(tmp_path: Path) -> Accounting:
    return Accounting(
        directory=tmp_path / "files", minutes=15, sftp_host="logs.example.net",
        sftp_users=tmp_path / "users",
    )  # fmt: skip


@pytest.fixture
def worker(settings: Settings, rules: Accounting) -> Service:
    return Service(settings.model_copy(update={"accounting": rules}), Event())


def message(database: Database, number: int) -> None:
    with database.transaction() as session:
        account = factories.funded(session, f"shop-{number}")
        username = factories.credential(session, account).credential.username
        domain = factories.verified_domain(session, account, f"shop-{number}.example")
        factories.message(session, username, domain.id, f"4bCdEf{number:04d}zXyW", NINE)


def files(rules: Accounting) -> list[str]:
    assert rules.directory is not None
    return sorted(path.name for path in rules.directory.glob("shop-*/events-*.jsonl.gz"))


def test_once_a_period(
    worker: Service, database: Database, rules: Accounting, clock: Clock
) -> None:
    message(database, 1)
    worker.turn()
    assert files(rules) == ["events-20990105T0845Z-0000001.jsonl.gz"], "what was there at the start"
    message(database, 2)
    clock.now += timedelta(minutes=4)
    worker.turn()
    assert len(files(rules)) == 1
    clock.now += timedelta(minutes=1)
    worker.turn()
    assert files(rules)[1] == "events-20990105T0900Z-0000001.jsonl.gz"


def test_one_process_at_a_time(
    settings: Settings, rules: Accounting, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node leaves it alone, until the first has been silent for its lease."""
    looked: list[datetime] = []

    def look(_self: Cutter, _until: datetime, now: datetime) -> int:
        looked.append(now)
        return 0

    monkeypatch.setattr(Cutter, "round", look)
    monkeypatch.setattr(duties, "finish", lambda *_, **__: None)  # as if it had died
    one, other = (
        Service(settings.model_copy(update={"accounting": rules, "node": node}), Event())
        for node in ("n1", "n2")
    )
    one.turn()
    other.turn()
    assert len(looked) == 1
    clock.now += service.LEASE
    other.turn()
    assert len(looked) == 2


def test_new_users_get_in(worker: Service, database: Database, rules: Accounting) -> None:
    worker.turn()
    assert (rules.sftp_users / "passwd").read_text() == ""
    with database.transaction() as session:
        account = factories.account(session)
        made = access.new_password(session, account, prefix="frank", now=NINE)
    for duty in worker._duties:
        duty._due_at = 0.0
    worker.turn()
    assert (rules.sftp_users / "passwd").read_text().startswith(made.access.username + ":")


def test_there_must_be_a_directory(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"accounting\.directory"):
        Service(settings, Event())


@pytest.mark.parametrize("wrong", [{"minutes": 7}, {"minutes": 0}, {"directory": "files"}])
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Accounting.model_validate(wrong)
