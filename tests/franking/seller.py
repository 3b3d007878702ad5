"""An account on a plan of its own that sends, and short ways to ask what became of its money."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from franking.accounts import rules
from franking.accounts.models import Account, Credential
from franking.accounts.rules import Rules, parse_window
from franking.db import Database
from franking.domains.models import Domain
from franking.mail import acceptance, events
from franking.mail.acceptance import Acceptance, NotAccepted, Outcome
from franking.mail.authority import Authority, authority
from franking.mail.events import Attempt
from franking.mail.models import Event, Message
from franking.money import ledger, pricing, settling, verification
from franking.money.billing import preferences
from franking.money.models import LedgerEntry, Plan, Reservation
from franking.money.pricing import Tier
from franking.money.settling import Settled
from franking.money.statements import statement
from franking.money.terms import Terms, stored
from tests import factories

NODE = "n1"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BLOCKED = "554 5.7.1 Client host [192.0.2.9] blocked using zen.spamhaus.org"


@dataclass
class Seller:
    database: Database
    tiers: tuple[Tier, ...] = (Tier(0, 100),)
    terms: Terms = field(default_factory=Terms)
    now: datetime = NOW
    account_id: int = 0
    username: str = ""
    domain_id: int = 0
    deposits: int = 0

    def __post_init__(self) -> None:
        with self.database.transaction() as session:
            plan = pricing.create_plan(
                session, "plan", currency="EUR", tiers=self.tiers, terms=self.terms,
                now=self.now - timedelta(days=90),
            )  # fmt: skip
            owner = factories.account(session, "seller", on=plan)
            domain = Domain(account_id=owner.id, name="example.com", ownership_token="t")
            session.add(domain)  # without keys, which take longer than all the rest
            session.flush()
            self.domain_id = domain.id
            self.username = factories.credential(session, owner).credential.username
            self.account_id = owner.id

    def deposit(self, amount: int) -> None:
        self.deposits += 1
        with self.database.transaction() as session:
            ledger.deposit(session, self.account_id, amount, reference=f"{self.deposits}")

    def change(self, terms: Terms) -> None:
        with self.database.transaction() as session:
            session.execute(update(Plan).values(terms=stored(terms)))

    def rule(self, *windows: str, **values: object) -> None:
        chosen = Rules(windows=tuple(map(parse_window, windows)), **values)  # type: ignore[arg-type]
        with self.database.transaction() as session:
            session.execute(update(Plan).values(rules=rules.stored(chosen)))

    def cap(self, account: int | None = None, credential: int | None = None) -> None:
        own = "{}" if credential is None else f'{{"daily_spend": {credential}}}'
        with self.database.transaction() as session:
            preferences.change(
                session, session.get_one(Account, self.account_id), daily_cap=account
            )
            session.execute(update(Credential).values(rules=own))

    def standing(self) -> Authority:
        with self.database.session() as session:
            found = authority(session, self.username, self.now)
        assert found is not None
        return found

    def send(self, queue_id: str, *to: str, suppressed: tuple[str, ...] = ()) -> Outcome | str:
        """What Postfix has to do, or the reply."""
        message = Acceptance(
            node=NODE, queue_id=queue_id, authority=self.standing(), domain_id=self.domain_id,
            from_address="a@example.com", envelope_sender="a@example.com",
            recipients=list(to or ("one@dest.example",)), suppressed=dict.fromkeys(suppressed, "x"),
            subject="s", message_id="m", size=1, now=self.now,
        )  # fmt: skip
        try:
            with self.database.transaction() as session:
                return acceptance.accept(session, message)
        except NotAccepted as refused:
            return f"{refused.reply.code} {refused.reply.enhanced} {refused.reply.text}"

    def settle(self, state: Settled, *queue_ids: str) -> None:
        with self.database.transaction() as session:
            settling.settle(session, NODE, dict.fromkeys(queue_ids, (state, "test")), self.now)

    def end(
        self, queue_id: str, recipient: str, kind: str = "bounced", reply: str = BLOCKED
    ) -> None:
        """A delivery attempt's outcome, without the refund that the worker gives for it."""
        code, enhanced, *_ = reply.split(" ")
        attempt = Attempt(
            queue_id, recipient, kind, self.now, int(code), enhanced, reply, delay=1.0
        )
        with self.database.transaction() as session:
            events.record(session, NODE, [attempt])

    def expire(self, *queue_ids: str) -> None:
        with self.database.transaction() as session:
            events.record_expired(session, NODE, [(queue_id, self.now) for queue_id in queue_ids])

    # --- what became of it ---

    @property
    def balance(self) -> tuple[int, int]:
        with self.database.session() as session:
            row = ledger.balance(session, self.account_id)
            return row.available, row.held

    @property
    def used(self) -> tuple[int, int, int]:
        """Units this month; spent today by the account and by its credential."""
        funds = self.standing().funds
        return funds.volume, funds.spent, funds.spent_by_credential

    def reservation(self, queue_id: str) -> Reservation:
        with self.database.session() as session:
            return session.get_one(Reservation, (queue_id, NODE))

    def message(self, queue_id: str) -> Message:
        with self.database.session() as session:
            return session.get_one(Message, (queue_id, NODE))

    def refunds(self) -> list[tuple[int, str | None, str | None]]:
        """Amount, note, and the recipient of the event that caused it, in order."""
        query = (
            select(LedgerEntry.amount, LedgerEntry.note, Event.recipient)
            .outerjoin(Event, Event.id == LedgerEntry.event_id)
            .where(LedgerEntry.cause == "refund", LedgerEntry.book == "available")
            .order_by(LedgerEntry.id)
        )
        with self.database.session() as session:
            return [(amount, note, who) for amount, note, who in session.execute(query)]

    def sound(self) -> bool:
        """The books, and the daily totals that follow them."""
        with self.database.session() as session:
            return verification.verify(session) == [] == statement.verify(session)
