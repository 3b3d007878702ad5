"""Accounts as their Billing pages are shown: one in its third month, one overdrawn, one just made.

Everything is written in the order in which it happens, by the functions that write it in
production.  Days are counted back from now; the fee and the invoices are of whole months.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from franking.accounts import account as accounts
from franking.accounts import users
from franking.accounts.models import Account
from franking.mail.acceptance import Acceptance, accept
from franking.mail.authority import authority
from franking.money import pricing, settling
from franking.money.billing import preferences
from franking.money.deposits import booking, cards, manual
from franking.money.deposits.models import Deposit
from franking.money.deposits.provider import Card
from franking.money.pricing import Tier
from franking.money.statements import fees, invoice, months
from franking.money.statements.config import Invoices
from franking.money.terms import Terms
from franking.notices import notices
from tests import factories
from tests.browser.seed import EMAIL, NODE, PASSWORD, Seeded

OVERDRAWN, FRESH = "vera@overdrawn.example", "nia@new.example"
ISSUER = "Franking Relay Services GmbH"
DAYS = 75
EUR = 1_000_000
TIERS = [Tier(0, 1000), Tier(200, 800), Tier(5000, 600)]
TAGS = ("order", "invoice", "newsletter", "password reset", "shipping, express, international")


@dataclass
class _Sender:
    session: Session
    username: str
    domain_id: int
    address: str

    def send(self, queue_id: str, at: datetime, subject: str, tags: list[str], to: int = 1) -> None:
        standing = authority(self.session, self.username, at)
        assert standing is not None
        accept(
            self.session,
            Acceptance(
                node=NODE,
                queue_id=queue_id,
                authority=standing,
                domain_id=self.domain_id,
                from_address=self.address,
                envelope_sender=self.address,
                recipients=[f"customer{n}@inbox.example" for n in range(to)],
                subject=subject,
                message_id=f"<{queue_id}@{self.address}>",
                size=4_812,
                now=at,
                tags=tags,
            ),
        )

    def captured(self, queue_ids: list[str], at: datetime) -> None:
        done: tuple[settling.Settled, str] = ("captured", "cleanup")
        settling.settle(self.session, NODE, dict.fromkeys(queue_ids, done), at)


def populate(session: Session, now: datetime) -> Seeded:
    """The ones that look at Billing: `EMAIL`, `OVERDRAWN` and `FRESH`.

    Returned are what addresses need: the newest message, a payment, the month before.
    """
    begin = now - timedelta(days=DAYS + 1)
    terms = Terms(included=20, monthly_fee=4_900_000, overdraft=2 * EUR)
    plan = pricing.create_plan(
        session, "Business", currency="EUR", tiers=TIERS, terms=terms, now=begin
    )
    soon = [Tier(0, 1100), Tier(200, 900), Tier(5000, 600)]
    pricing.set_price(session, plan, soon, starts_at=now + timedelta(days=40), now=now)
    account = accounts.create(session, "shop", plan=plan, now=begin)
    users.create(session, account, EMAIL, PASSWORD)
    pending = _busy_months(session, account, now)
    _overdrawn(session, now)
    fresh = factories.account(session, "fresh")
    users.create(session, fresh, FRESH, PASSWORD)
    month = f"{months.preceding(now.date()):%Y-%m}"
    named = {"newest": "4fBnewestZ3xNz1bTk", "pending": pending, "month": month}
    return Seeded(named, {})


def _busy_months(session: Session, account: Account, now: datetime) -> str:
    chance = random.Random(7)
    address = "Harbour Road 12\n20457 Hamburg"
    preferences.change(
        session, account, invoice_name="Example Shop Ltd", invoice_address=address,
        tax_id="DE123456789", daily_cap=5 * EUR, topup_below=5 * EUR, topup_amount=25 * EUR,
    )  # fmt: skip
    shop = factories.verified_domain(session, account, "shop.example")
    news = factories.verified_domain(session, account, "news.shop.example")
    senders = [
        _Sender(session, factories.credential(session, account, name).credential.username, d.id, f)
        for name, d, f in (
            ("Web shop", shop, "orders@shop.example"),
            ("Newsletter", news, "news@news.shop.example"),
            ("Billing cron", shop, "invoices@shop.example"),
        )
    ]
    for number in range(DAYS, -1, -1):
        day = now - timedelta(days=number, minutes=10)
        if number % 30 == DAYS % 30:
            _paid(session, account, 20 * EUR, "stripe", day)
        if day.day == 1:
            fees.charge(session, account.id, day.date(), day)
        weekend = day.weekday() >= 5
        for each, sender in enumerate(senders):
            count = chance.randrange(2 if weekend else 6) + (12 if number in (9, 38) else 0)
            sent = []
            for letter in range(count):
                queue_id = f"4fB{number:02d}{each}{letter:02d}Z3xNz1bTk"
                tags = chance.sample(TAGS, chance.randrange(3))
                sender.send(queue_id, day, f"Order {number}{each}{letter} has left", tags)
                sent.append(queue_id)
            sender.captured(sent, day)
    return _last_things(session, account, senders[0], now)


def _last_things(session: Session, account: Account, shop: _Sender, now: datetime) -> str:
    """Payments of every kind, invoices of the months that are over, one message on its way."""
    cards.save(session, account.id, Card("cus_1", "pm_1", "Visa •••• 4242"), now)
    manual.credit(
        session, account, 30 * EUR, reference="RF18 5390 0754 7034", actor="cli:root",
        note="Transfer of Example Shop Ltd", now=now - timedelta(hours=30),
    )  # fmt: skip
    failed = booking.new(account, "stripe", 25 * EUR, now - timedelta(hours=20))
    failed.automatic, failed.state, failed.note = True, "failed", "Your card was declined."
    pending = booking.new(account, "manual", 50 * EUR, now - timedelta(hours=3))
    session.add_all([failed, pending])
    detail = {"amount": 25 * EUR, "reason": "Your card was declined.", "failures": 1}
    notices.give(session, account.id, "topup.failed", detail, now - timedelta(hours=20))
    period = months.preceding(now.date())
    for each in (months.preceding(period), period):
        if each >= account.created_at.date().replace(day=1) and now >= invoice.issuable_from(each):
            invoice.issue(session, Invoices(issuer_name=ISSUER), account, each, now)
    shop.send("4fBnewestZ3xNz1bTk", now, "Your order 10482 is on its way", ["order"], to=3)
    return pending.reference


def _paid(session: Session, account: Account, amount: int, provider: str, now: datetime) -> Deposit:
    deposit = booking.new(account, provider, amount, now)
    session.add(deposit)
    deposit.paid = amount
    session.flush()
    booking.book(session, deposit, now=now)
    return deposit


def _overdrawn(session: Session, now: datetime) -> None:
    """Below zero, with mail that waits for money."""
    terms = Terms(on_empty="hold", overdraft=EUR // 100)
    begin = now - timedelta(days=20)
    plan = pricing.create_plan(
        session, "Patient", currency="EUR", unit_price=2_000, terms=terms, now=begin
    )
    account = accounts.create(session, "overdrawn", plan=plan, now=begin)
    users.create(session, account, OVERDRAWN, PASSWORD)
    _paid(session, account, EUR // 100, "stripe", begin)
    domain = factories.verified_domain(session, account, "overdrawn.example")
    username = factories.credential(session, account, "Forum").credential.username
    sender = _Sender(session, username, domain.id, "forum@overdrawn.example")
    for number in range(14):
        at = now - timedelta(hours=20 - number)
        sender.send(f"4fOv{number:02d}Z3xNz1bTk", at, f"Reply to topic {number}", [])
        if number < 9:
            sender.captured([f"4fOv{number:02d}Z3xNz1bTk"], at)
    detail = {"available": -EUR // 100, "below": 0, "messages_left": 0}
    notices.give(session, account.id, "balance.exhausted", detail, now - timedelta(hours=10))
