"""The state machine's world: accounts, one node, and what must hold after every step."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine, invariant
from sqlalchemy import insert, select

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.accounts.models import Credential
from franking.domains.models import Domain
from franking.mail.models import Message
from franking.money import pricing, verification
from franking.money.models import Balance, LedgerEntry, Reservation
from tests.money.books import Account, Price, Sent
from tests.money.killing import FragileDatabase, Fuse, Killed
from tests.money.postfix import Postfix
from tests.money.processes import Machine, Maillog, Milterd, housekeeping
from worker.housekeeping.held import Held

START = datetime(2026, 11, 29, 23, 58, tzinfo=UTC)  # near the end of a day and of a month
OWNERS = {1: 1, 2: 1, 3: 2}  # credential: account
BY_HAND = ("deposit", "reversal", "adjustment", "fee")
NEXT = {
    "waiting": {"waiting", "reserved", "captured", "voided", "unknown"},
    "reserved": {"reserved", "captured", "voided", "unknown"},
    "unknown": {"unknown", "captured", "voided"},
    "captured": {"captured"},
    "voided": {"voided"},
}
Result = TypeVar("Result")

_rows, _entries = Reservation.__table__.c, LedgerEntry.__table__.c
_RESERVATIONS = select(
    _rows.queue_id, _rows.account_id, _rows.amount, _rows.units, _rows.tier, _rows.unit_price,
    _rows.parts, _rows.state, _rows.reserved_at, _rows.capped_credential_id,
    Message.cost, Message.status, Message.refunded,
).join(Message, (Message.queue_id == _rows.queue_id) & (Message.node == _rows.node))  # fmt: skip
_BOOKED = select(_entries.account_id, _entries.reference, _entries.amount).where(
    _entries.book == "available", _entries.cause.in_(BY_HAND)
)
_BALANCES = select(Balance.__table__)
_SPENT = select(Credential.id, Credential.account_id, Credential.spent, Credential.spent_on)


@functools.cache
def _database() -> tuple[FragileDatabase, Fuse]:
    """Two plans, an account on each, three credentials; made once for all examples."""
    fuse = Fuse()
    database = FragileDatabase(fuse)
    with database.transaction() as session:
        for number in (1, 2):
            plan = pricing.create_plan(
                session, f"plan-{number}", currency="EUR", unit_price=1,
                now=START - timedelta(days=1),
            )  # fmt: skip
            owner = accounts.create(session, f"account-{number}", plan=plan)
            values = {"account_id": owner.id, "name": f"{number}.test", "ownership_token": "x"}
            session.execute(insert(Domain).values(values))
            for name in (name for name, whose in OWNERS.items() if whose == number):
                made = credentials.create(session, owner, f"c{name}", prefix="frank")
                assert made.credential.id == name
                made.credential.username = f"frank_{name}"
    database.keep()
    return database, fuse


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.database, self.fuse = _database()
        self.database.reset()
        self.directory = Path(tempfile.mkdtemp(prefix="queue-"))
        self.postfix = Postfix(self.directory, START)
        self.machine = Machine(self.database, self.postfix, self.fuse)
        self.milterd = Milterd(self.machine)
        self.maillog = Maillog(self.machine)
        self.held = self.new_housekeeping()
        self.accounts = {1: Account(1), 2: Account(2)}
        self.asked: dict[str, tuple[int, int]] = {}  # reference: account, amount
        self.expected: dict[str, Sent] = {}  # queue ID: as it was offered, with its price
        self.funded: list[Sent] = []  # by the step that was just made
        self._observed = self._verified = -1  # `writes` of the database by then

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @property
    def now(self) -> datetime:
        return self.postfix.now

    def run(self, process: Callable[[], Result], killed_after: int | None) -> Result | None:
        """None when it was killed; all of the node's processes but Postfix are made anew then."""
        try:
            return self.fuse.run(process, killed_after)
        except Killed:
            self.maillog = Maillog(self.machine)
            self.held = self.new_housekeeping()
            return None

    def new_housekeeping(self) -> Held:
        return housekeeping(self.machine)

    def message(self, queue_id: str) -> Sent:
        return next(a.sent[queue_id] for a in self.accounts.values() if queue_id in a.sent)

    # --- what must hold ----------------------------------------------------------------------

    def observe(self) -> None:
        """Learn what has been done, and check that it could be."""
        self.funded = []
        if self.database.writes == self._observed:
            return
        self._observed = self.database.writes
        with self.database.session() as session:
            for account_id, reference, amount in session.execute(_BOOKED):
                assert self.asked[reference] == (account_id, amount)
                self.accounts[account_id].booked[reference] = amount
            for row in session.execute(_RESERVATIONS):
                self._observe(row)

    def _observe(self, row: Any) -> None:
        account = self.accounts[row.account_id]
        sent = account.sent.get(row.queue_id)
        if sent is None:
            sent = account.sent[row.queue_id] = self.expected.pop(row.queue_id)
            if row.state == "waiting":
                sent.capped_on = None
            else:
                account.count(sent, row.reserved_at, capped=sent.capped_on is not None)
        assert row.state in NEXT[sent.state]
        if sent.state == "waiting" != row.state and row.state != "voided":
            self.funded.append(sent)
            capped = row.capped_credential_id is not None
            assert capped == (self.credential_cap(sent) is not None) or self.is_forced(sent)
            account.count(sent, row.reserved_at, capped=capped)
        if row.state != sent.state:
            self._settled(sent, row.state)
        assert (row.status == "voided") == (row.state == "voided")
        assert row.cost == (0 if row.state == "voided" else sent.amount)
        assert prices(row) == sent.prices, "the price of a message changed"
        assert (row.amount, row.units) == (sent.amount, sent.units)
        assert sent.refunded <= row.refunded <= sent.due(*self.postfix.failed(row.queue_id))
        sent.refunded = row.refunded

    def _settled(self, sent: Sent, state: str) -> None:
        taken = sent.queue_id in self.postfix.committed
        if state == "captured":
            assert taken, "paid, but Postfix has not taken it"
        elif state == "voided":
            unsent = sent.state == "waiting" and sent.queue_id in self.postfix.deleted
            assert unsent or not taken, "taken, but not paid"
        sent.state = state

    @invariant()
    def books_are_right(self) -> None:
        if self.database.writes == self._verified:
            return
        self._verified = self.database.writes
        with self.database.session() as session:
            assert verification.verify(session) == []
            for row in session.execute(_BALANCES):
                account = self.accounts[row.account_id]
                assert (row.available, row.held) == (account.available, account.held)
                latest = account.latest.get(None)
                if latest is not None:
                    assert row.spent_on == latest
                    assert row.spent == account.spent(latest) >= 0
                    assert row.volume == account.volume(latest) >= 0

            for row in session.execute(_SPENT):
                account = self.accounts[row.account_id]
                if (latest := account.latest.get(row.id)) is not None:
                    assert row.spent_on == latest
                    assert row.spent == account.spent_by(row.id, latest) >= 0

    def credential_cap(self, sent: Sent) -> int | None:
        raise NotImplementedError

    def is_forced(self, sent: Sent) -> bool:
        """By an operator, whom no cap binds, and whose mail none counts."""
        raise NotImplementedError


def prices(row: Any) -> list[Price]:
    """Of each unit, in order, as the reservation has them."""
    parts = row.parts or [[row.units, row.tier, row.unit_price]]
    return [Price(tier, price) for units, tier, price in parts for _ in range(units)]
