"""Released when there is room, whatever crashes in between; a directory stands for the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from franking.accounts import limits, rules
from franking.accounts.limits import Subject
from franking.accounts.models import Account, RateCounter
from franking.accounts.rules import Rules, parse_window
from franking.mail import holding
from franking.money.models import Plan, Reservation
from worker.housekeeping.held import Held

from ..conftest import Books

NOW = datetime.now(UTC).replace(second=30, microsecond=0)
SUBJECT = Subject(1, 1, None)


class Crash(BaseException):
    """The process is gone: nothing of ours may catch it."""


@dataclass
class Relay:
    """Postfix's queue directory, its postsuper, and the clock."""

    books: Books
    directory: Path
    now: datetime = NOW
    told: list[list[str]] = field(default_factory=list)
    works: bool = True
    crash: str = ""  # before, after
    windows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("hold", "deferred", "incoming", "active"):
            (self.directory / name).mkdir()
        self.restart()

    def restart(self) -> None:
        self.held = Held(
            self.books.database, self.books.node, self.directory, self.release, lambda: self.now
        )

    def release(self, queue_ids: Sequence[str]) -> bool:
        self.told.append(list(queue_ids))
        if self.crash == "before":
            raise Crash
        if self.works:
            for queue_id in queue_ids:
                self.move(queue_id)
        if self.crash == "after":
            raise Crash
        return self.works

    def move(self, queue_id: str) -> None:
        (self.directory / "hold" / queue_id).rename(self.directory / "deferred" / queue_id)

    def limit(self, *windows: str) -> None:
        self.windows = windows
        stored = rules.stored(Rules(windows=tuple(map(parse_window, windows))))
        with self.books.database.transaction() as session:
            session.execute(update(Plan).values(rules=stored))

    def take(self, *queue_ids: str, file: bool = True, recipients: int = 1) -> None:
        """Accepted with hold, although there may be room."""
        windows = self.windows
        self.limit()
        for queue_id in queue_ids:
            moment = self.now + timedelta(microseconds=len(self.books.accepted))
            self.books.hold(queue_id, *(f"r{n}@ok.test" for n in range(recipients)), at=moment)
            if file:
                self.commit(queue_id)
        self.limit(*windows)

    def commit(self, queue_id: str) -> None:
        path = self.directory / "hold" / queue_id
        path.touch()
        path.chmod(0o700)

    def status(self) -> list[str | None]:
        return [self.books.message(queue_id) for queue_id in self.books.accepted]

    def used(self) -> int:
        with self.books.database.session() as session:
            start = limits.start_of("minute", self.now)
            row = session.get(RateCounter, ("account:1", "minute", start))
            return row.used if row else 0

    def use_up(self, count: int) -> None:
        with self.books.database.transaction() as session:
            window = parse_window("100/minute hold")
            for _ in range(count):
                limits.count(session, [window], SUBJECT, 1, self.now)

    def pass_time(self, **time: int) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def relay(books: Books, tmp_path: Path) -> Relay:
    directory = tmp_path / "queue"
    directory.mkdir()
    relay = Relay(books, directory)
    relay.limit("2/minute hold")
    return relay


def test_as_many_as_there_is_room_for_the_oldest_first(relay: Relay) -> None:
    relay.use_up(1)
    relay.take("A", "B", "C", "D")
    relay.held.look()
    assert relay.status() == ["queued", "held", "held", "held"]
    relay.held.look()
    assert relay.status() == ["queued", "held", "held", "held"]
    relay.pass_time(minutes=1)
    relay.held.look()
    assert relay.status() == ["queued", "queued", "queued", "held"]
    assert relay.told == [["A"], ["B", "C"]]
    assert relay.used() == 2
    kinds = [event.kind for event in relay.books.events("B")]
    assert kinds == ["held", "released"]


def test_many_in_one_look(relay: Relay) -> None:
    relay.limit()
    queue_ids = [f"Q{n:03}" for n in range(230)]
    relay.take(*queue_ids)
    relay.held.look()
    assert relay.books.waiting() == []
    assert [len(told) for told in relay.told] == [100, 100, 30]


@pytest.mark.parametrize("crash", ["before", "after"])
def test_a_crash_beside_postsuper_neither_loses_nor_counts_twice(relay: Relay, crash: str) -> None:
    relay.take("A")
    relay.crash = crash
    with pytest.raises(Crash):
        relay.held.look()
    assert (relay.status(), relay.used()) == (["held"], 1)
    relay.crash = ""
    relay.restart()
    relay.held.look()
    assert (relay.status(), relay.used()) == (["queued"], 1)
    assert (relay.directory / "deferred/A").exists()


def test_when_postfix_cannot_be_asked_it_is_asked_again(relay: Relay) -> None:
    relay.take("A")
    relay.works = False
    relay.held.look()
    assert (relay.status(), len(relay.told)) == (["held"], 1), "not at once"
    relay.works = True
    relay.held.look()
    assert (relay.status(), relay.used()) == (["queued"], 1)


def test_what_is_not_in_the_queue_yet_is_left_alone(relay: Relay) -> None:
    """The milter has accepted it, cleanup has not committed the file."""
    relay.take("A", file=False)
    (relay.directory / "hold/A").touch(mode=0o600)
    relay.take("B")
    relay.held.look()
    assert relay.status() == ["held", "queued"]
    relay.commit("A")
    relay.held.look()
    assert relay.status() == ["queued", "queued"]


def test_released_by_hand_it_is_noticed(relay: Relay) -> None:
    relay.use_up(2)
    relay.take("A")
    relay.move("A")
    relay.held.look()
    assert relay.status() == ["queued"]
    assert relay.used() == 2, "the operator's doing is not counted"


def test_gone_without_a_line_in_the_log(relay: Relay) -> None:
    relay.take("A", file=False)
    relay.held.look()
    relay.pass_time(minutes=5)
    relay.held.look()
    assert relay.status() == ["held"], "the reconciler has not decided whether it was ever there"
    with relay.books.database.transaction() as session:
        session.execute(update(Reservation).values(state="captured"))
    relay.held.look()
    assert relay.books.waiting() == []


def test_a_message_that_never_fits_does_not_stop_the_line(relay: Relay) -> None:
    relay.limit("3/minute recipients hold")
    relay.take("A", recipients=4)
    relay.take("B", recipients=3)
    relay.take("C", "D")
    relay.held.look()
    assert relay.status() == ["held", "queued", "held", "held"]
    with relay.books.database.transaction() as session:
        holding.let_go(session, "A", relay.now)
    relay.held.look()
    assert relay.status() == ["queued", "queued", "held", "held"]


def test_a_suspended_accounts_mail_stays(relay: Relay) -> None:
    relay.take("A", "B")
    with relay.books.database.transaction() as session:
        session.execute(update(Account).values(status="suspended"))
    relay.held.look()
    assert relay.told == []
    with relay.books.database.transaction() as session:
        session.execute(update(Account).values(status="active"))
    relay.held.look()
    assert relay.status() == ["queued", "queued"]
