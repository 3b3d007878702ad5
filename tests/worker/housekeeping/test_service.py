from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

import pytest

from franking.db import Database, utcnow
from franking.nodes import nodes
from franking.nodes.models import Duty
from franking.settings import Housekeeping, Maillog, Overload, Settings
from worker.housekeeping.service import Service

from ..conftest import Books


class Release:
    """Counts how often Postfix would have been asked, and can fail in an unforeseen way."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    def __call__(self, queue_ids: Sequence[str]) -> bool:
        self.asked += 1
        if self.broken:
            raise RuntimeError("a bug")
        return False


@pytest.fixture
def own(books: Books, tmp_path: Path) -> Settings:
    return Settings(
        node=books.node,
        database_url=books.url,
        maillog=Maillog(queue_directory=tmp_path),
        overload=Overload(queue_length=1),
        housekeeping=Housekeeping(every=0.01),
    )


def fill(directory: Path, queue: str, *queue_ids: str) -> None:
    (directory / queue).mkdir(exist_ok=True)
    for queue_id in queue_ids:
        path = directory / queue / queue_id
        path.touch()
        path.chmod(0o700)


def overload(database: Database) -> str | None:
    with database.session() as session:
        return nodes.all_of(session)[0].overload


def test_an_overloaded_node_says_so_until_it_is_over(
    books: Books, own: Settings, tmp_path: Path
) -> None:
    service = Service(own, Event(), release=Release())
    service.turn()
    assert overload(books.database) is None
    fill(tmp_path, "active", "A1", "B1")
    service.turn()
    assert overload(books.database) == "2 messages wait (limit 1)"
    for queue_id in ("A1", "B1"):
        (tmp_path / "active" / queue_id).unlink()
    service.turn()
    assert overload(books.database) is None


def test_one_duty_that_fails_does_not_keep_the_others_from_being_done(
    books: Books, own: Settings, tmp_path: Path
) -> None:
    release = Release()
    release.broken = True
    books.hold("A1")
    fill(tmp_path, "hold", "A1")
    Service(own, Event(), release=release).turn()
    assert release.asked == 1
    with books.database.session() as session:
        assert session.get_one(Duty, "alerts").due_at > utcnow()  # comes after held mail
        assert nodes.all_of(session)[0].queued == 1


def test_it_goes_on_until_told_to_stop(books: Books, own: Settings, tmp_path: Path) -> None:
    stop, release = Event(), Release()
    books.hold("A1")
    fill(tmp_path, "hold", "A1")
    thread = Thread(target=Service(own, stop, release=release).run)
    thread.start()
    deadline = time.monotonic() + 20
    while release.asked < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert books.message("A1") == "held"
