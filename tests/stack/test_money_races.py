"""Many send, pay, settle and refund at once, on two engines of one database: not one too many."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from threading import Semaphore
from typing import TypeVar

import pytest
from sqlalchemy import exc, func, select
from sqlalchemy.orm import Session

from franking.accounts import credentials
from franking.db import Base, Database
from franking.mail import acceptance, holding
from franking.mail.acceptance import Acceptance, NotAccepted, Outcome
from franking.mail.authority import authority
from franking.mail.models import HeldMessage
from franking.money import ledger, pricing, refunds, reservations, verification
from franking.money.models import Reservation
from franking.money.pricing import Tier
from franking.money.settling import Settled
from franking.money.terms import Terms
from franking.reasons import InsufficientBalance, Invalid, NotFound, PriceMoved
from tests import factories
from worker.maillog.settle import settle

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
NODE = "n1"
NODES = (NODE, "n2")
SENDERS = 100
AFFORDABLE = 1000
PRICE = 7

T = TypeVar("T")

pytestmark = [pytest.mark.one_engine, pytest.mark.rest]  # it has both


@dataclass
class Shop:
    """Accounts on one plan; `databases` are two engines, as two processes have."""

    databases: list[Database]
    usernames: list[str] = field(default_factory=list)
    domains: dict[str, int] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    desks: list[Semaphore] = field(default_factory=lambda: [Semaphore(8), Semaphore(8)])

    def open(
        self, tiers: Sequence[Tier], terms: Terms | None = None, *, accounts: int = 1, money: int
    ) -> None:
        with self.databases[0].transaction() as session:
            plan = pricing.create_plan(
                session, "races", currency="EUR", tiers=tiers, terms=terms, now=NOW
            )
            for number in range(accounts):
                owner = factories.funded(session, f"a{number}", amount=money, on=plan)
                domain = factories.verified_domain(session, owner, f"a{number}.example")
                made = credentials.create(session, owner, "c", prefix=factories.PREFIX)
                self.usernames.append(made.credential.username)
                self.domains[made.credential.username] = domain.id

    def together(self, jobs: Sequence[Callable[[Database], T]]) -> list[T]:
        """What each returned; raises what one of them has raised."""
        with ThreadPoolExecutor(SENDERS) as pool:
            calls = zip(jobs, cycle(self.databases), strict=False)
            return [each.result() for each in [pool.submit(job, on) for job, on in calls]]

    def office(self, database: Database, work: Callable[[Session], T]) -> T:
        """A transaction as a process has it: few at once, and again after a temporary failure."""
        while True:
            with self.desks[self.databases.index(database)]:
                try:
                    with database.transaction() as session:
                        return work(session)
                except (exc.TimeoutError, exc.OperationalError, PriceMoved) as error:
                    assert "deadlock" not in str(error)

    def send(
        self, database: Database, username: str, recipients: int = 1, *, node: str = NODE
    ) -> str | None:
        """The queue ID of a message as milterd accepts it; None when there is no money."""
        queue_id = f"Q{next(self.numbers)}"
        with database.session() as session:
            who = authority(session, username, NOW)
        assert who is not None
        message = Acceptance(
            node=node, queue_id=queue_id, authority=who, domain_id=self.domains[username],
            from_address="a@a.example", envelope_sender="a@a.example",
            recipients=[f"{each}@dest.example" for each in range(recipients)],
            subject="s", message_id="m", size=1, now=NOW,
        )  # fmt: skip
        try:
            outcome = self.office(database, lambda session: acceptance.accept(session, message))
        except NotAccepted as refused:
            assert isinstance(refused.__cause__, InsufficientBalance)
            return None
        assert outcome in {Outcome.DELIVER, Outcome.HOLD}
        return queue_id

    def settle(
        self, database: Database, queue_ids: Sequence[str], state: Settled, *, node: str = NODE
    ) -> None:
        verdicts = dict.fromkeys(queue_ids, (state, "test"))
        self.office(database, lambda session: settle(session, node, verdicts, LATER))

    def try_to(self, database: Database, work: Callable[[Session], object]) -> None:
        """Without money, room or anything left to do, nothing happens."""
        with suppress(InsufficientBalance, Invalid, NotFound):
            self.office(database, work)

    def give_back(self, database: Database, queue_id: str, node: str = NODE) -> None:
        self.try_to(
            database,
            lambda s: refunds.give_back_rest(s, node, queue_id, note="goodwill", now=LATER),
        )

    def pay(self, database: Database, account_id: int, amount: int, reference: str) -> None:
        self.office(
            database,
            lambda s: ledger.deposit(s, account_id, amount, reference=reference, now=LATER),
        )

    def grant(self, database: Database, queue_id: str, node: str) -> None:
        def work(session: Session) -> None:
            held = session.get(HeldMessage, (queue_id, node))
            if held is not None:
                holding.grant(session, held, LATER)

        self.try_to(database, work)

    def assert_books_are_right(self) -> None:
        with self.databases[0].session() as session:
            assert verification.verify(session) == []

    def balances(self) -> list[tuple[int, int]]:
        with self.databases[0].session() as session:
            rows = [ledger.balance(session, number + 1) for number in range(len(self.usernames))]
            return [(row.available, row.held) for row in rows]


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/races.db"
    else:
        url = request.getfixturevalue("cluster").url
    databases = [Database(url) for _ in range(2)]
    Base.metadata.create_all(databases[0].engine)
    yield Shop(databases)
    Base.metadata.drop_all(databases[0].engine)
    for database in databases:
        database.close()


def test_exactly_as_many_as_there_is_money_for(shop: Shop) -> None:
    shop.open([Tier(0, PRICE)], money=AFFORDABLE * PRICE + PRICE - 1)

    def sender(database: Database) -> list[str]:
        return [
            each
            for _ in range(AFFORDABLE // SENDERS + 1)
            if (each := shop.send(database, shop.usernames[0]))
        ]

    accepted = itertools.chain(*shop.together([sender] * SENDERS))
    assert len(set(accepted)) == AFFORDABLE
    assert shop.balances() == [(PRICE - 1, AFFORDABLE * PRICE)]
    shop.assert_books_are_right()


def test_money_that_comes_and_goes_meanwhile(shop: Shop) -> None:
    """Top-ups, voids and refunds race with the senders; each voided or refunded message makes
    room for another one."""
    affordable = 100
    shop.open([Tier(0, PRICE)], money=affordable // 2 * PRICE)
    username, back = shop.usernames[0], itertools.count()

    def sender(database: Database) -> int:
        mine = [each for _ in range(2) if (each := shop.send(database, username))]
        for queue_id in mine[:1]:
            shop.settle(database, [queue_id], "voided")
            next(back)
        for queue_id in mine[1:2]:
            shop.settle(database, [queue_id], "captured")
            shop.give_back(database, queue_id)
            next(back)
        return len(mine)

    def top_up(database: Database) -> int:
        shop.pay(database, 1, PRICE, str(next(shop.numbers)))
        return 0

    def rest(database: Database) -> int:
        """Until there is no money left."""
        return sum(1 for _ in iter(lambda: shop.send(database, username), None))

    accepted = sum(shop.together([sender, top_up] * (affordable // 2)))
    accepted += sum(shop.together([rest] * 16))
    assert accepted - next(back) == affordable
    assert shop.balances()[0][0] == 0
    shop.assert_books_are_right()


def test_tiers_are_charged_exactly(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every unit of the month has been priced once, whoever sent it.

    With so small a margin, prices are often worked out from a volume that others overtake.
    """
    monkeypatch.setattr(reservations, "MARGIN", 8)
    tiers, included = [Tier(0, 5), Tier(100, 3), Tier(400, 2)], 50
    shop.open(tiers, Terms(billing_unit="recipient", included=included), money=10**6)
    chance = random.Random(1)
    sizes = [[chance.randrange(1, 15)] for _ in range(SENDERS)]

    def sender(mine: list[int]) -> Callable[[Database], object]:
        return lambda database: [shop.send(database, shop.usernames[0], size) for size in mine]

    shop.together([sender(mine) for mine in sizes])
    units = sum(map(sum, sizes))
    price = [0] * included + [5] * 100 + [3] * 300 + [2] * (units - 400 - included)
    with shop.databases[0].session() as session:
        assert session.scalar(select(func.sum(Reservation.amount))) == sum(price)
        assert session.scalar(select(func.sum(Reservation.units))) == units
    assert shop.balances() == [(10**6 - sum(price), sum(price))]
    shop.assert_books_are_right()


def test_nobody_waits_in_a_circle(shop: Shop) -> None:
    """Mail of several accounts waits for money.  On each of two nodes the log settles it in
    batches, housekeeping grants it, and operators let it go and give it back, all at once."""
    shop.open([Tier(0, PRICE)], Terms(on_empty="hold"), accounts=3, money=8 * PRICE)
    first = shop.databases[0]
    sent = {
        node: [each for name in shop.usernames * 10 if (each := shop.send(first, name, node=node))]
        for node in NODES
    }
    chance = random.Random(2)

    def log(node: str) -> Callable[[Database], None]:
        states: list[Settled] = ["captured", "voided"]
        batches = [(chance.sample(sent[node], 8), states[number % 2]) for number in range(15)]

        def run(database: Database) -> None:
            for queue_ids, state in batches:
                shop.settle(database, queue_ids, state, node=node)

        return run

    def housekeeping(node: str) -> Callable[[Database], None]:
        def run(database: Database) -> None:
            for queue_id in sent[node] * 2:
                shop.grant(database, queue_id, node)

        return run

    def operator(node: str) -> Callable[[Database], None]:
        chosen = chance.sample(sent[node], 15)

        def run(database: Database) -> None:
            for queue_id in chosen:
                shop.try_to(database, partial(holding.let_go, queue_id=queue_id, now=LATER))
                shop.give_back(database, queue_id, node)

        return run

    def customer(number: int) -> Callable[[Database], None]:
        def run(database: Database) -> None:
            for each in range(5):
                shop.pay(database, number, PRICE, f"{number}-{each}")
                shop.send(database, shop.usernames[number - 1])

        return run

    jobs = [job(node) for job in (log, housekeeping, operator, operator) for node in NODES]
    shop.together(jobs + [customer(number) for number in (1, 2, 3)])
    shop.assert_books_are_right()
