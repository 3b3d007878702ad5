"""Does a year of mail make anything slower?  Ten million events on PostgreSQL.

    python bench/growth.py                      500,000 messages with twenty events each
    python bench/growth.py --messages 100000

A cluster of its own, made and removed again (some 10 GB).  Shown are: how many messages a second
are accepted and recorded, in an empty database and in the full one; what each hot question
takes, and how many rows its plan reads (`tests/growth.py`); how long it takes to drop a month.
Prints one JSON object; exit code 1 if the full database takes mail at less than 80 % of the rate of
the empty one, if a question reads a partition from end to end or more than 25,000 rows, or if
dropping a month takes more than three seconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from sqlalchemy import func, select, text  # noqa: E402

from franking import migrations, partitions, patience  # noqa: E402
from franking.db import Database  # noqa: E402
from franking.mail import events, queue_ids  # noqa: E402
from franking.mail.events import Attempt  # noqa: E402
from franking.mail.models import Event  # noqa: E402
from stack.cluster import Cluster  # noqa: E402
from tests import factories, growth, history  # noqa: E402
from tests.history import NODE, Past  # noqa: E402
from tests.stack import fresh  # noqa: E402

LEAST = 0.8  # of the rate of an empty database
BOUND = 25_000  # rows; a look at a small month from end to end may be the quickest
LONGEST_DROP = 3.0  # seconds
BATCH = 50  # attempts of one transaction, as the worker has them
ROUNDS = 5

_numbers = itertools.count(1)


class Shop:
    """An account that sends, in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.transaction() as session:
            owner = factories.funded(session, "shop", amount=10**12)
            self.username = factories.credential(session, owner).credential.username
            self.domain_id = factories.verified_domain(session, owner, "shop.example").id

    def send(self, seconds: float) -> float:
        """Messages a second: each accepted in a transaction of its own, recorded in batches."""
        began, count = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            count += _batch(self.database, self.username, self.domain_id)
        return count / (time.monotonic() - began)


def compare(empty: Shop, full: Shop, seconds: float) -> dict[str, float]:
    """By turns, because of what else runs on the machine; the ratio in the middle counts."""
    rates = [(empty.send(seconds), full.send(seconds)) for _ in range(ROUNDS)]
    first, second = zip(*rates, strict=True)
    return {
        "messages_per_second_empty": round(statistics.median(first), 1),
        "messages_per_second_full": round(statistics.median(second), 1),
        "ratio": round(statistics.median(b / a for a, b in rates), 2),
    }


def _batch(database: Database, username: str, domain_id: int) -> int:
    now = datetime.now(UTC)
    ids = [f"{queue_ids.since(now)}x{next(_numbers):06d}" for _ in range(BATCH)]
    for queue_id in ids:
        with database.transaction() as session:
            factories.message(session, username, domain_id, queue_id, now, tags=["spring"])
    with database.transaction() as session:
        attempts = [Attempt(each, "anna@example.org", "delivered", now, 250) for each in ids]
        events.record(session, NODE, attempts)
    return BATCH


def ask(database: Database, past: Past) -> dict[str, dict[str, Any]]:
    """Milliseconds (the best of five), rows that are read, partitions that are read as a whole."""
    found = {}
    for name, question in growth.hot(database, past).items():
        times = []
        for _ in range(5):
            with database.session() as session:
                session.connection()
                began = time.monotonic()
                question(session)
                times.append((time.monotonic() - began) * 1000)
        rows, whole = growth.touched(database, question)
        found[name] = {"ms": round(min(times), 1), "rows": rows, "whole": whole}
    return found


def drop_a_month(database: Database, past: Past) -> dict[str, Any]:
    before, month = _size(database), partitions.month_of(past.since + timedelta(days=40))
    began = time.monotonic()
    dropped = [partitions.drop(database, table, month) for table in partitions.TABLES]
    return {
        "seconds": round(time.monotonic() - began, 2),
        "dropped": all(dropped),
        "freed_mb": (before - _size(database)) >> 20,
    }


def _size(database: Database) -> int:
    with database.session() as session:
        return int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)


def measure(databases: Sequence[Database], messages: int, seconds: float) -> dict[str, Any]:
    for database in databases:
        migrations.upgrade(database.engine)
    empty, full = databases
    shops = Shop(empty), Shop(full)
    began = time.monotonic()
    with _carelessly(full):
        past = history.make(full, messages, datetime.now(UTC), _say)
    seeding = round(time.monotonic() - began)
    return {"seeding_seconds": seeding} | judge(shops, past, seconds)


def judge(shops: tuple[Shop, Shop], past: Past, seconds: float) -> dict[str, Any]:
    full = shops[1].database
    with full.snapshot() as session:
        events_there = session.scalar(select(func.count()).select_from(Event))
    return {
        "messages": past.messages,
        "events": events_there,
        "database_mb": _size(full) >> 20,
        **compare(*shops, seconds),
        "questions": ask(full, past),
        "month": drop_a_month(full, past),
    }


@contextmanager
def _carelessly(database: Database) -> Iterator[None]:
    """Without a word to the disk: what is seeded need not survive anything."""
    own = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with own.connect() as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("ALTER SYSTEM SET max_wal_size = '4GB'"))
        connection.execute(text("SELECT pg_reload_conf()"))
    yield
    with own.connect() as connection, patience.at_length(partitions.LONGEST):
        connection.execute(text("ALTER SYSTEM RESET ALL"))
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("CHECKPOINT"))


def failures(figures: dict[str, Any]) -> list[str]:
    wrong = [
        name
        for name, figure in figures["questions"].items()
        if figure["whole"] or figure["rows"] > BOUND
    ]
    if figures["ratio"] < LEAST:
        wrong.append(f"takes mail at {figures['ratio']} of the rate")
    if not figures["month"]["dropped"] or figures["month"]["seconds"] > LONGEST_DROP:
        wrong.append("dropping a month")
    return wrong


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


@contextmanager
def cluster() -> Iterator[list[Database]]:
    """Two databases in it."""
    directory = Path(tempfile.mkdtemp(prefix="franking-growth-"))
    directory.chmod(0o755)
    made = Cluster.create(directory / "cluster")
    databases = [fresh.database(made), fresh.database(made)]
    try:
        yield databases
    finally:
        for database in databases:
            database.close()
        made.stop("immediate")
        shutil.rmtree(directory)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=500_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one round of sending")
    options = parser.parse_args(arguments)
    with cluster() as databases:
        figures = measure(databases, options.messages, options.seconds)
    figures["failures"] = failures(figures)
    print(json.dumps(figures, indent=1))
    return 1 if figures["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
