"""The worker as a process: killed at any moment, its log rotated under it, its database away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update

from franking.mail.models import Event, LogPosition
from franking.money.models import Reservation

from ..conftest import MONEY, PRICE, Books
from ..loglines import ending, queue_id, recorded

ROOT = Path(__file__).parents[3]


class Worker:
    def __init__(self, books: Books, directory: Path) -> None:
        self.log = directory / "mail.log"
        self.errors = directory / "worker.err"
        self.settings = directory / "franking.toml"
        (directory / "queue").mkdir()
        (directory / "etc").mkdir()
        (directory / "etc/main.cf").write_text(
            "compatibility_level = 3.6\n"
            f"queue_directory = {directory}/queue\n"
            f"maillog_file = {self.log}\nmaillog_file_prefixes = {directory}\n"
        )
        self.settings.write_text(
            f'node = "{books.node}"\ndatabase_url = "{books.url}"\n'
            f'[maillog]\npath = "{self.log}"\nqueue_directory = "{directory}/queue"\n'
            f'config_directory = "{directory}/etc"\npoll = 0.01\nbatch = 50\n'
            "reconcile_after = 60\nreconcile_every = 0.2\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "worker", "maillog"], cwd=ROOT, stderr=errors,
                env=os.environ | {"FRANKING_SETTINGS": str(self.settings)},
            )  # fmt: skip

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def write(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text)


@pytest.fixture
def worker(books: Books, tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(books, tmp_path)
    yield worker
    if worker.process is not None:
        worker.stop(signal.SIGKILL)


def until(true: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def accept_recorded(books: Books, count: int) -> None:
    for number in range(count):
        books.accept(queue_id(number), f"user{number}@dest.test")


def finished(books: Books) -> int:
    with books.database.session() as session:
        final = Event.kind.in_(("delivered", "bounced"))
        return session.scalar(select(func.count()).select_from(Event).where(final)) or 0


def counted(books: Books) -> dict[str, int]:
    with books.database.session() as session:
        query = select(Event.kind, func.count()).group_by(Event.kind)
        return {row[0]: row[1] for row in session.execute(query)}


def expected(count: int) -> dict[str, int]:
    bounced = sum(ending(number) == "bounced" for number in range(count))
    deferred = sum(number % 10 == 3 for number in range(count))
    kinds = {"delivered": count - bounced, "bounced": bounced, "deferred": deferred}
    return kinds | {"accepted": count}


def check(books: Books, count: int) -> None:
    assert counted(books) == expected(count)
    assert books.balance() == (MONEY - PRICE * count, 0)
    assert books.sound()
    with books.database.session() as session:
        states = session.scalars(select(Reservation.state).distinct()).all()
    assert states == ["captured"]


def test_stops_when_told(books: Books, worker: Worker) -> None:
    accept_recorded(books, 30)
    worker.start()
    worker.write("".join(recorded(30)))
    until(lambda: finished(books) == 30)
    assert worker.stop() == 0
    check(books, 30)
    assert '"stopped"' in worker.errors.read_text()
    assert "accepted_unpaid" not in worker.errors.read_text()


def test_killed_again_and_again_while_the_log_grows_and_rotates(
    books: Books, worker: Worker
) -> None:
    count, pieces = 300, 6
    accept_recorded(books, count)
    lines = list(recorded(count))
    for piece in range(pieces):
        worker.start()
        part = "".join(lines[len(lines) * piece // pieces : len(lines) * (piece + 1) // pieces])
        middle = len(part) // 3 + piece * 11  # inside a line
        before = finished(books)
        worker.write(part[:middle])
        until(lambda before=before: finished(books) > before)  # it is at work: now
        worker.stop(signal.SIGKILL)
        worker.write(part[middle:])
        if piece % 2:
            worker.log.rename(worker.log.with_name(f"mail.log.{piece:03}"))
    worker.start()
    until(lambda: finished(books) == count)
    assert worker.stop() == 0
    check(books, count)
    assert "log_gap" not in worker.errors.read_text()


def test_a_locked_database_delays_and_loses_nothing(books: Books, worker: Worker) -> None:
    accept_recorded(books, 50)
    worker.start()
    until(lambda: '"started"' in worker.errors.read_text())
    with books.database.transaction() as session:
        session.execute(text("SELECT 1"))  # holds the write lock
        worker.write("".join(recorded(50)))
        until(lambda: "database_trouble" in worker.errors.read_text())
    until(lambda: finished(books) == 50)
    worker.stop()
    check(books, 50)


def test_the_log_and_then_the_queue_settle_what_is_old(books: Books, worker: Worker) -> None:
    """With the real postlog, which writes the log itself while Postfix is stopped."""
    old = datetime.now(UTC) - timedelta(seconds=100)
    books.accept("4j00000000zB", at=old)
    books.accept("4j00000000zC", at=old)
    incoming = worker.log.parent / "queue/incoming"
    incoming.mkdir()
    (incoming / "4j00000000zC").touch(0o700)
    (incoming / "4j00000000zC").chmod(0o700)
    worker.write("Nov 21 09:45:43 relay postfix/master[1]: daemon started\n")
    worker.start()
    until(lambda: books.state("4j00000000zB") == "voided")
    until(lambda: books.state("4j00000000zC") == "captured")
    worker.stop()
    assert books.balance() == (MONEY - PRICE, 0)
    assert "probe " in worker.log.read_text()


def test_after_a_reboot_the_absence_of_a_line_proves_nothing(books: Books, worker: Worker) -> None:
    accept_recorded(books, 20)
    worker.write("".join(recorded(20)))
    worker.start()
    until(lambda: finished(books) == 20)
    worker.stop()
    books.accept("4j00000000zB", at=datetime.now(UTC) - timedelta(seconds=100))
    with books.database.transaction() as session:
        session.execute(update(LogPosition).values(boot_id="another"))
    worker.start()
    until(lambda: books.state("4j00000000zB") == "unknown")
    worker.stop()
    assert books.balance() == (MONEY - PRICE * 21, PRICE)
    assert counted(books) == expected(20) | {"accepted": 21}
    assert "reservation_unknown" in worker.errors.read_text()


def test_unpaid_mail_raises_the_alarm_even_when_the_client_line_is_older(
    books: Books, worker: Worker
) -> None:
    accept_recorded(books, 1)
    lines = [line for line in recorded(2) if queue_id(1) in line or queue_id(0) in line]
    client = [line for line in lines if "client=" in line]
    worker.write("".join(client))
    worker.start()
    until(lambda: stored(books) == len("".join(client)))
    worker.stop(signal.SIGKILL)
    worker.write("".join(line for line in lines if "client=" not in line))
    worker.start()
    until(lambda: finished(books) == 1)
    until(lambda: "accepted_unpaid" in worker.errors.read_text())
    worker.stop()
    alarms = [a for a in worker.errors.read_text().splitlines() if "accepted_unpaid" in a]
    assert len(alarms) == 1
    assert queue_id(1) in alarms[0]


def stored(books: Books) -> int | None:
    with books.database.session() as session:
        return session.scalar(select(LogPosition.offset))


def test_bad_settings_say_which(worker: Worker) -> None:
    worker.settings.write_text('nodee = "x"\n')
    done = subprocess.run(
        [sys.executable, "-m", "worker", "maillog"], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"FRANKING_SETTINGS": str(worker.settings)}, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "nodee" in done.stderr
