"""What a chaos run came to: the client's journal, the sink with the queue, and the database.

A message is known by its queue ID everywhere: the 250 names it, the sink finds it in the Received
field that Postfix has written, and the reservation has it as its key.
"""

from __future__ import annotations

import functools
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bench.submission import Load
from franking.money import verification
from franking.money.models import LedgerEntry, Reservation
from stack.running import RunningStack
from worker.maillog.queuefile import QUEUES, READY

RECEIVED = re.compile(rb"(?m)^\s+by \S+ \([^)]*\) with \w+ id (\w+)")
OURS = re.compile(rb"(?m)^Subject: chaos-\d+\r$")
HEAD = 8192  # bytes of a delivered file
OPEN = ("waiting", "reserved", "unknown")
MUST_BE_ZERO = (
    "lost",
    "duplicates",
    "captures_without_commit",
    "commits_without_capture",
    "open_reservations",
    "ledger_sum",
    "ledger_differences",
    "permanent_refusals",
)

Replies = list[tuple[str, int, int, str]]  # token, sender's number, code, text


def wrong(figures: dict[str, Any]) -> list[str]:
    """The figures that should be zero and are not."""
    return [f"{name} {figures[name]}" for name in MUST_BE_ZERO if figures[name]]


def settle(stack: RunningStack, load: Load, patience: float) -> float:
    """Wait until nothing is under way any more; seconds that it took, at most `patience`."""
    expected = set(_accepted(load))
    begun = time.monotonic()

    def quiet() -> bool:
        if _queued(stack) or expected - {queue_id for queue_id, _ in _delivered(stack)}:
            return False
        return not _open(stack)

    while not quiet() and time.monotonic() - begun < patience:
        stack.flush()  # what was deferred while its queue manager was killed
        time.sleep(1)
    return round(time.monotonic() - begun, 1)


def of(stack: RunningStack, load: Load) -> dict[str, Any]:
    """Everything that is promised, as counts of what contradicts it."""
    accepted, delivered = _accepted(load), _delivered(stack)
    arrived = {queue_id for queue_id, _ in delivered}
    committed = arrived | _queued(stack)
    with stack.database.session() as session:
        rows = session.execute(select(Reservation.queue_id, Reservation.state)).all()
        captured = {row.queue_id for row in rows if row.state == "captured"}
        total = session.scalar(select(func.sum(LedgerEntry.amount))) or 0
        differences = verification.verify(session)
    replies = Counter(code for _, _, code, _ in _replies(load))
    missing = {
        queue_id
        for queue_id, recipients in accepted.items()
        if any((queue_id, recipient) not in delivered for recipient in recipients)
    }
    return {
        "accepted": len(accepted),
        "lost": len(missing),
        "duplicates": sum(times - 1 for times in delivered.values()),
        "captures_without_commit": len(captured - committed),
        "commits_without_capture": len(committed - captured),
        "open_reservations": _open(stack),
        "ledger_sum": int(total),
        "ledger_differences": len(differences),
        "permanent_refusals": sum(count for code, count in replies.items() if code >= 500),
        "delivered": len(arrived),
        "delivered_without_250": len(arrived - set(accepted)),
        "replies": {str(code): count for code, count in sorted(replies.items())},
    }


def died_at_failpoints(stack: RunningStack) -> Counter[str]:
    found: Counter[str] = Counter()
    for name in ("milterd", "worker", "housekeeping"):
        for line in stack.log(name).splitlines():
            if '"died_at"' in line:
                found[json.loads(line)["point"]] += 1
    return found


def _replies(load: Load) -> Replies:
    return [tuple(json.loads(line)) for line in Path(load.journal).read_text().splitlines()]


def _accepted(load: Load) -> dict[str, tuple[str, ...]]:
    """Queue ID of each 250 → whom the message was for."""
    return {
        text.rpartition("queued as ")[2]: load.customers[sender].recipients
        for _, sender, code, text in _replies(load)
        if code == 250
    }


def _delivered(stack: RunningStack) -> Counter[tuple[str, str]]:
    """How often each recipient got each queue file."""
    found: Counter[tuple[str, str]] = Counter()
    for delivery in stack.deliveries():
        queue_id = _queue_id(delivery.path)
        if queue_id is not None:
            found.update((queue_id, recipient) for recipient in delivery.recipients)
    return found


@functools.cache
def _queue_id(path: Path) -> str | None:
    """The relay's own, which is the newest Received field; None for mail that is not the load's."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    received = RECEIVED.search(head)
    return received[1].decode() if received and OURS.search(head) else None


def _queued(stack: RunningStack) -> set[str]:
    """Committed queue files that are still there."""
    spool = stack.instance.spool
    found = set()
    for queue in QUEUES:
        for path in (spool / queue).rglob("*z*"):
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if path.is_file() and status.st_mode & READY == READY:
                found.add(path.name)
    return found


def _open(stack: RunningStack) -> int:
    with stack.database.session() as session:
        count = select(func.count()).where(Reservation.state.in_(OPEN))
        return session.scalar(count) or 0
