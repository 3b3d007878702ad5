"""Three relay nodes, each with a Postfix of its own, share a database and an account's money."""

from __future__ import annotations

import smtplib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import expect
import pytest
from sessions import log_in, offer

from franking.money import ledger
from stack.demo import UNIT_PRICE
from stack.running import RunningStack, Sender

pytestmark = [pytest.mark.alone, pytest.mark.long, pytest.mark.one_engine, pytest.mark.timeout(400)]
PAID = 300  # messages that there is money for
CONNECTIONS = 10  # to each node


@pytest.fixture
def nodes(short_directory: Path) -> Iterator[list[RunningStack]]:
    """Nodes share a database server, so this is PostgreSQL always."""
    with ExitStack() as running:
        started: list[RunningStack] = []
        for name in ("first", "second", "third"):
            directory = short_directory / name
            directory.mkdir(mode=0o755)
            node = RunningStack.started(
                directory, "postgresql", {"node": name}, beside=started[0] if started else None
            )
            started.append(running.enter_context(node))
        yield started


def send_until_refused(node: RunningStack, sender: Sender, said: Counter[str]) -> None:
    """One session after the other; what is refused for a while is sent again."""
    while "554" not in said:
        try:
            with log_in(node, sender) as client:
                while "554" not in said:
                    said[offer(client, sender)[:3]] += 1
        except (smtplib.SMTPException, OSError):
            said["lost"] += 1


def test_one_balance(nodes: list[RunningStack]) -> None:
    first = nodes[0]
    sender = first.sender("shared", balance=PAID * UNIT_PRICE)
    journals: list[Counter[str]] = []
    threads = []
    for node in nodes:
        for _ in range(CONNECTIONS):
            journals.append(said := Counter())
            threads.append(threading.Thread(target=send_until_refused, args=(node, sender, said)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(journals, Counter())
    assert total["250"] == PAID, total
    first.until(
        lambda: list(expect.reservations(first, sender).values()) == ["captured"] * PAID, 60
    )
    delivered = [len([d for d in n.deliveries() if d.author == sender.address]) for n in nodes]
    assert sum(delivered) == PAID and all(delivered), "each node had its share"
    with first.database.session() as session:
        balance = ledger.balance(session, sender.account_id)
        assert (balance.available, balance.held) == (0, 0)
    expect.assert_books_are_right(first)
