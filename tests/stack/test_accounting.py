"""The accounting log of a running relay, and on PostgreSQL, where many write at once."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path

import expect
import pytest
from sessions import log_in, offer, queue_id
from sqlalchemy.orm import Session

from franking.accounting.checking import check
from franking.accounting.config import Accounting
from franking.accounting.cutting import Cutter
from franking.db import Database, utcnow
from franking.mail.models import Event
from stack.running import RunningStack
from tests import factories

WRITERS, TURNS = 4, 40


def events(folder: Path) -> list[dict[str, object]]:
    texts = [
        gzip.decompress(path.read_bytes()).decode()
        for path in sorted(folder.glob("events-*.jsonl.gz"))
    ]
    return [json.loads(line) for text in texts for line in text.split("\n") if line]


def test_s2_10_what_happened_is_in_a_file(stack: RunningStack) -> None:
    sender = stack.sender("accounting-log")
    with log_in(stack, sender) as client:
        number = queue_id(offer(client, sender, f"From: {sender.address}"))
    stack.until(lambda: expect.kinds(stack, number) == ["accepted", "delivered"])
    folder = stack.instance.root / "accounting" / sender.account

    def written() -> list[object]:
        stack.cli("accounting", "cut")
        found = [event for event in events(folder) if event["message_id"] == number]
        return [event["type"] for event in found]

    assert stack.until(written) == ["accepted", "delivered"]
    assert check(folder) == []
    (folder / "checked.json").unlink()


def _event(session: Session, account_id: int, text: str) -> None:
    session.add(Event(account_id=account_id, node="n1", kind="rejected", reply=text, smtp_code=550))
    session.flush()


@pytest.mark.one_engine
def test_a_transaction_that_ends_late(both: list[Database], tmp_path: Path) -> None:
    """Its row has a lower number than one that could be read before."""
    one, other = both
    with one.transaction() as session:
        account_id = factories.account(session, "acme").id
    cutter = Cutter(one, Accounting(directory=tmp_path), tmp_path)
    with Session(one.engine) as slow, slow.begin():
        _event(slow, account_id, "first")
        with other.transaction() as session:
            _event(session, account_id, "second")
        assert cutter.round(utcnow(), utcnow()) == 0
    assert cutter.round(utcnow(), utcnow()) == 2
    assert [event["reason"] for event in events(tmp_path / "acme")] == ["first", "second"]


@pytest.mark.one_engine
def test_many_writers(both: list[Database], tmp_path: Path) -> None:
    """Each event is in one file, while two cut as fast as they can."""
    with both[0].transaction() as session:
        account_id = factories.account(session, "acme").id

    def write(name: int) -> None:
        for turn in range(TURNS):
            with both[name % 2].transaction() as session:
                for part in range(1 + turn % 3):
                    _event(session, account_id, f"{name}-{turn}-{part}")

    writers = [threading.Thread(target=write, args=(name,)) for name in range(WRITERS)]
    for writer in writers:
        writer.start()
    cutters = [Cutter(database, Accounting(directory=tmp_path), tmp_path) for database in both]

    def cut(cutter: Cutter) -> None:
        while any(writer.is_alive() for writer in writers):
            cutter.cut(utcnow(), utcnow())

    cutting = [threading.Thread(target=cut, args=(cutter,)) for cutter in cutters]
    for thread in cutting:
        thread.start()
    for thread in writers + cutting:
        thread.join()
    cutters[0].round(utcnow(), utcnow())
    found = [event["reason"] for event in events(tmp_path / "acme")]
    wanted = {
        f"{name}-{turn}-{part}"
        for name in range(WRITERS) for turn in range(TURNS) for part in range(1 + turn % 3)
    }  # fmt: skip
    assert len(found) == len(wanted)
    assert set(found) == wanted
    assert check(tmp_path / "acme") == []
