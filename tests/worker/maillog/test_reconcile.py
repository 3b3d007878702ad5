"""Reservations that the log did not settle, with real files of the modes that Postfix gives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from worker.maillog.follow import Position
from worker.maillog.queuefile import Queue
from worker.maillog.reconcile import PATIENCE, Reconciler
from worker.maillog.settle import save_position, settle

from ..conftest import MONEY, PRICE, Books

QID = "4jWnPz0hWRzJ9t9"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OLD = NOW - timedelta(seconds=61)


class Scene:
    def __init__(self, books: Books, directory: Path) -> None:
        self.books = books
        self.directory = directory
        self.tokens: list[str] = []
        self.probe_works = True
        self.between: Callable[[], object] = lambda: None
        self.reconciler = Reconciler(books.database, books.node, Queue(directory), 60, self.probe)

    def probe(self, token: str) -> bool:
        if self.probe_works:
            self.tokens.append(token)
        return self.probe_works

    def file(self, queue: str, mode: int) -> Path:
        path = self.directory / queue / QID
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(mode)
        return path

    def gap(self, until: datetime) -> None:
        with self.books.database.transaction() as session:
            save_position(session, self.books.node, Position(1, 1, ""), "boot", until, gap=True)

    def run(self) -> str | None:
        """Both looks, as when the follower finds the probe."""
        self.reconciler.look(NOW)
        self.between()
        for token in self.tokens:
            self.reconciler.confirm(token, NOW)
        return self.books.state(QID)


@pytest.fixture
def scene(books: Books, tmp_path: Path) -> Scene:
    books.accept(QID, at=OLD)
    return Scene(books, tmp_path / "queue")


@pytest.mark.parametrize("queue", ["incoming", "active", "deferred/A", "hold", "maildrop"])
def test_a_committed_file_captures(scene: Scene, queue: str) -> None:
    path = scene.file(queue, 0o700)
    assert scene.run() == "captured"
    assert path.exists()
    assert scene.tokens == []
    assert scene.books.balance() == (MONEY - PRICE, 0)
    assert scene.books.sound()


def test_a_file_being_written_waits(scene: Scene) -> None:
    with scene.file("incoming", 0o600).open():
        assert scene.run() == "reserved"
    assert scene.tokens == []


def test_a_file_left_behind_is_removed_and_the_money_given_back(scene: Scene) -> None:
    path = scene.file("incoming", 0o600)
    scene.gap(NOW)  # the file itself is proof, whatever the log lost
    assert scene.run() == "voided"
    assert not path.exists()
    assert scene.books.balance() == (MONEY, 0)
    assert scene.books.message(QID) == "voided"
    assert [event.kind for event in scene.books.events(QID)] == ["voided"]


def test_nothing_at_all_voids(scene: Scene) -> None:
    scene.gap(OLD - timedelta(seconds=1))  # an older gap does not matter
    assert scene.run() == "voided"
    assert scene.books.balance() == (MONEY, 0)
    assert scene.books.sound()


def test_nothing_and_a_gap_is_unknown(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.gap(OLD + timedelta(seconds=1))
    assert scene.run() == "unknown"
    assert scene.books.balance() == (MONEY - PRICE, PRICE)
    assert "reservation_unknown" in "".join(capsys.readouterr())


def test_young_reservations_are_left_alone(scene: Scene) -> None:
    scene.reconciler.look(NOW - timedelta(seconds=2))
    assert scene.tokens == []


def test_nothing_is_voided_before_the_probe_was_read(scene: Scene) -> None:
    scene.reconciler.look(NOW)
    scene.reconciler.confirm("another token", NOW)
    assert scene.books.state(QID) == "reserved"


def test_lines_that_were_on_their_way_decide(scene: Scene) -> None:
    """Delivered and removed between the two looks, or just before the first."""

    def log_line() -> None:
        with scene.books.database.transaction() as session:
            settle(session, scene.books.node, {QID: ("captured", "log: queue active")}, NOW)

    scene.between = log_line
    assert scene.run() == "captured"
    assert scene.books.balance() == (MONEY - PRICE, 0)


def test_committed_between_the_looks(scene: Scene) -> None:
    scene.between = lambda: scene.file("incoming", 0o700)
    assert scene.run() == "captured"


def test_a_new_file_between_the_looks_is_waited_for(scene: Scene) -> None:
    with (scene.directory.parent / "open").open("w") as file:

        def appear() -> None:
            (scene.directory / "incoming").mkdir(parents=True)
            Path(file.name).rename(scene.directory / "incoming" / QID)
            (scene.directory / "incoming" / QID).chmod(0o600)

        scene.between = appear
        assert scene.run() == "reserved"


def test_one_probe_at_a_time(scene: Scene) -> None:
    scene.reconciler.look(NOW)
    scene.reconciler.look(NOW + timedelta(seconds=10))
    assert len(scene.tokens) == 1
    scene.reconciler.look(NOW + PATIENCE)
    assert len(scene.tokens) == 2
    scene.reconciler.confirm(scene.tokens[0], NOW)
    assert scene.books.state(QID) == "reserved"
    scene.reconciler.confirm(scene.tokens[1], NOW)
    assert scene.books.state(QID) == "voided"


def test_a_probe_that_failed_is_tried_again(scene: Scene) -> None:
    scene.probe_works = False
    assert scene.run() == "reserved"
    scene.probe_works = True
    assert scene.run() == "voided"


def test_another_nodes_reservations_are_not_ours(scene: Scene) -> None:
    scene.reconciler = Reconciler(
        scene.books.database, "elsewhere", Queue(scene.directory), 60, scene.probe
    )
    assert scene.run() == "reserved"
