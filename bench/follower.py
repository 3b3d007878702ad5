"""Does the maillog worker miss or double an event, whatever happens to it and to its log?

    python bench/follower.py                         eight minutes, SQLite
    python bench/follower.py --profile short         one minute

A stack of its own takes mail at a steady rate, some of it deferred, while the log is rotated every
5 s (Postfix's own `logrotate`, which also reloads master), and

    killed    the worker gets kill -9 at random moments, a hundred times
    stopped   it does nothing at all over twenty rotations, and another one takes its place
    gap       while it is stopped, a rotated log that nobody has read is deleted

What should have become an event is counted from the logs themselves, all of them, read at leisure
in one go, and held against the database's events.  Prints a table, writes
bench/results/follower-<engine>.json, and ends with 1 if an event was missing or doubled, money was
given back without evidence, or the gap was not noticed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from bench.chaos import repeatedly, rotate, table  # noqa: E402
from bench.submission import Customer, Load  # noqa: E402
from franking.db import utcnow  # noqa: E402
from franking.mail.models import Event, LogPosition, Message  # noqa: E402
from franking.money.models import Reservation  # noqa: E402
from stack.running import RunningStack  # noqa: E402
from worker.maillog.follow import files  # noqa: E402
from worker.maillog.gather import KINDS  # noqa: E402
from worker.maillog.parse import parse  # noqa: E402
from worker.maillog.records import Delivery  # noqa: E402

SETTINGS = {"maillog": {"reconcile_after": 15, "reconcile_every": 3}}
ROTATE_EVERY = 5.0  # seconds
AT_ONCE = 1.1  # seconds between rotations: their suffix has whole seconds
CATCHES_UP = 120.0

What = tuple[str, str, str]  # queue ID, recipient, kind


@dataclass(frozen=True)
class Profile:
    """`longest`: seconds that a worker lives once it has read something; `rate` a second."""

    kills: int
    rotations: int
    rate: float
    longest: float = 1.5


PROFILES = {
    "full": Profile(kills=100, rotations=20, rate=25),
    "short": Profile(kills=5, rotations=3, rate=20),
}


@contextlib.contextmanager
def loaded(stack: RunningStack, directory: Path, profile: Profile) -> Iterator[None]:
    """Mail at a steady rate while the block runs; every fifth message is deferred."""
    sender = stack.sender("follower")
    load = Load(
        port=stack.ports.submissions,
        ca_file=str(stack.instance.ca_file),
        customers=tuple(
            Customer(sender.username, sender.secret, sender.address, (recipient,), share)
            for recipient, share in (("one@plain.example", 4), ("defer@plain.example", 1))
        ),
        journal=str(directory / "client.journal"),
        seconds=3600,
        rate=profile.rate,
        connections=5,
    )
    client = subprocess.Popen([sys.executable, str(ROOT / "bench/submission.py"), load.text])
    try:
        yield
        if client.poll() is not None:
            raise RuntimeError("the load has ended by itself")
    finally:
        client.terminate()
        client.wait()


def position(stack: RunningStack) -> tuple[int, int]:
    with stack.database.session() as session:
        row = session.get(LogPosition, stack.settings.node)
        return (row.inode, row.offset) if row else (0, 0)


def kill_again_and_again(stack: RunningStack, profile: Profile) -> int:
    """Each worker dies at a random moment after it has moved the position."""
    chance, kills = random.Random(), 0
    while kills < profile.kills:
        before = position(stack)
        stack.until(lambda before=before: position(stack) != before, CATCHES_UP)
        time.sleep(chance.uniform(0, profile.longest))
        kills += stack.kill(*stack.pids("worker"))
    return kills


@contextlib.contextmanager
def stopped(stack: RunningStack) -> Iterator[None]:
    """The worker does nothing while the block runs; then another one takes its place."""
    (pid,) = stack.until(lambda: stack.pids("worker"))
    psutil.Process(pid).send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        stack.kill(pid)


def rotated(stack: RunningStack, times: int) -> None:
    """Postfix says no while there is no new log since the last time."""
    count = len(files(stack.settings.maillog.path)[:-1])
    while len(files(stack.settings.maillog.path)[:-1]) < count + times:
        time.sleep(AT_ONCE)
        rotate(stack)


def logs(stack: RunningStack) -> Iterator[bytes]:
    """Every line there is.  A file that is being compressed is there twice for a moment."""
    path = stack.settings.maillog.path
    plain = {file for file in path.parent.glob(f"{path.name}*") if file.suffix != ".gz"}
    for file in sorted(path.parent.glob(f"{path.name}*")):
        if file.suffix == ".gz" and file.with_suffix("") in plain:
            continue
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            yield from (line.rstrip(b"\n") for line in lines if line.endswith(b"\n"))


def logged(stack: RunningStack, ours: set[str]) -> Counter[What]:
    """What the logs say was tried for these messages."""
    now, found = utcnow(), Counter[What]()
    for line in logs(stack):
        record = parse(line, now)
        if isinstance(record, Delivery) and record.queue_id in ours and record.status in KINDS:
            found[record.queue_id, record.address.lower(), KINDS[record.status]] += 1
    return found


def recorded(stack: RunningStack) -> tuple[Counter[What], set[str]]:
    """The events, and the queue IDs of all messages."""
    kinds = set(KINDS.values())
    with stack.database.session() as session:
        query = select(Event.queue_id, Event.recipient, Event.kind).where(Event.kind.in_(kinds))
        events = Counter[What]((row[0], row[1], row[2]) for row in session.execute(query))
        return events, set(session.scalars(select(Message.queue_id)))


def compare(stack: RunningStack) -> tuple[int, int, int]:
    """Logged attempts, and how many of their events are missing or too many."""
    said = logged(stack, recorded(stack)[1])
    events, _ = recorded(stack)
    return said.total(), (said - events).total(), (events - said).total()


def caught_up(stack: RunningStack) -> tuple[float, tuple[int, int, int]]:
    """Seconds until there is an event for every line, and the figures then; or as they stand."""
    begun = time.monotonic()
    figures = compare(stack)
    while figures[1] and time.monotonic() - begun < CATCHES_UP:
        time.sleep(0.5)
        figures = compare(stack)
    return round(time.monotonic() - begun, 1), figures


def gaps(stack: RunningStack) -> int:
    return stack.log("worker").count('"log_gap"')


def lose_a_log(stack: RunningStack) -> None:
    """Of those that nobody has read.  The one that was being read is lost with it, so that nobody
    can know where to go on."""
    with stopped(stack):
        inode, _ = position(stack)
        rotated(stack, 3)
        there = files(stack.settings.maillog.path)
        begin = next(n for n, file in enumerate(there) if file.inode == inode)
        for file in there[begin : begin + 2]:
            file.path.unlink()


def voided(stack: RunningStack) -> int:
    with stack.database.session() as session:
        query = select(func.count()).where(Reservation.state == "voided")
        return session.scalar(query) or 0


def run(directory: Path, engine: str, profile: Profile) -> dict[str, Any]:
    with RunningStack.started(directory, engine, SETTINGS) as stack:
        begun = time.monotonic()
        with loaded(stack, directory, profile):
            with repeatedly(lambda: rotate(stack), lambda: ROTATE_EVERY):
                kills = kill_again_and_again(stack, profile)
            with stopped(stack):
                rotated(stack, profile.rotations)
        seconds = time.monotonic() - begun
        after, (lines, missing, doubled) = caught_up(stack)
        before_the_gap = gaps(stack)
        lose_a_log(stack)
        stack.until(lambda: gaps(stack) > before_the_gap, CATCHES_UP)
        _, (_, missing_after, doubled_after) = caught_up(stack)
        return {
            "attempts": lines,
            "kills": kills,
            "rotations_while_stopped": profile.rotations,
            "missing": missing + missing_after,
            "duplicates": doubled,
            "gaps_without_a_lost_log": before_the_gap,
            "gaps_noticed": gaps(stack) - before_the_gap,
            "voided_without_evidence": voided(stack),
            "seconds": round(seconds, 1),
            "caught_up_after": after,
            "engine": engine,
            "read_from_lost_logs": doubled_after - doubled,
        }


def wrong(figures: dict[str, Any]) -> list[str]:
    names = ("missing", "duplicates", "gaps_without_a_lost_log", "voided_without_evidence")
    found = [f"{name}: {figures[name]}" for name in names if figures[name]]
    return found if figures["gaps_noticed"] else [*found, "no gap was noticed"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="full")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="franking-"))
    directory.chmod(0o755)  # Postfix's own user enters it
    try:
        figures = run(directory, options.engine, PROFILES[options.profile])
    finally:
        shutil.rmtree(directory)
    figures["profile"] = options.profile
    print(table(figures))
    path = ROOT / f"bench/results/follower-{options.engine}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"{path.relative_to(ROOT)}: {', '.join(wrong(figures)) or 'nothing missed or doubled'}")
    return 1 if wrong(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
