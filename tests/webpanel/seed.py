"""Two accounts with a person each, and one message with everything that can be hostile in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from franking.accounts import users
from franking.accounts.credentials import Created
from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.mail import events, replies
from franking.mail.acceptance import Acceptance, accept
from franking.mail.authority import authority
from franking.money import ledger, settling
from franking.money.deposits import booking
from franking.money.statements import invoice, months
from franking.money.statements.config import Invoices
from franking.sealing import Sealer
from franking.webhooks import endpoints, outbox
from franking.webhooks.config import Webhooks
from tests import factories

EMAIL, OTHER_EMAIL = "demo@franking.test", "other@franking.test"
PASSWORD = "correct horse battery"
HOSTILE = "<script>alert(1)</script>"
QUEUE_ID = "4bCdEf1234zXyW"
FEE = 4_900_000


@dataclass(frozen=True)
class Seed:
    """Plain values: they outlive their session."""

    account_id: int
    credential: Created
    domain_id: int
    deposit: str  # pending, by bank transfer
    invoice: int
    hook: int  # a webhook endpoint
    delivery: int  # to it; waits


def seed(database: Database) -> Seed:
    with database.transaction() as session:
        account = factories.funded(session, "mine")
        users.create(session, account, EMAIL, PASSWORD)
        other = factories.funded(session, "theirs")
        users.create(session, other, OTHER_EMAIL, PASSWORD)
        return _everything(session, account)


def _everything(session: Session, account: Account) -> Seed:
    domain = factories.verified_domain(session, account)
    created = factories.credential(session, account, f"shop {HOSTILE}")
    deposit = booking.new(account, "manual", 10_000_000, utcnow())
    session.add(deposit)
    made = Seed(
        account.id, created, domain.id, deposit.reference, _invoiced(session, account),
        *_hooked(session, account),
    )  # fmt: skip
    message(session, made, QUEUE_ID, subject=f"Order {HOSTILE}", tags=[HOSTILE, "spring"])
    events.record(session, "n1", _attempts(QUEUE_ID, utcnow()))
    settling.settle(session, "n1", {QUEUE_ID: ("captured", "queue file active")}, utcnow())
    refusal = replies.from_not_verified("evil.test")
    events.record_refusal(
        session,
        account_id=account.id,
        credential_id=created.credential.id,
        node="n1",
        smtp_code=refusal.code,
        enhanced_code=refusal.enhanced,
        text=f"{refusal.text} {HOSTILE}",
        key=refusal.key,
        sender=f"a{HOSTILE}@evil.test",
        recipient="x@example.org",
        now=utcnow(),
    )
    return made


def _hooked(session: Session, account: Account) -> tuple[int, int]:
    """The numbers of an endpoint and of a delivery that waits for it."""
    made = endpoints.create(
        session, account, "https://hooks.example/seed",
        sealer=Sealer(factories.MASTER_KEY), rules=Webhooks(),
    )  # fmt: skip
    return made.endpoint.id, outbox.test(session, made.endpoint, utcnow()).id


def _invoiced(session: Session, account: Account) -> int:
    """The number of last month's invoice: for a fee, which was given back by hand."""
    now = utcnow()
    then = months.start(months.preceding(now.date())) + timedelta(days=3)
    ledger.charge_fee(session, account.id, FEE, reference="seed", note="Monthly fee", now=then)
    ledger.adjust(session, account.id, FEE, reference="seed", note=f"gift {HOSTILE}", now=then)
    at = max(now, invoice.issuable_from(then.date()))
    settings = Invoices(issuer_name="Relay Ltd")
    return invoice.issue(session, settings, account, then.date(), at).number


def message(
    session: Session,
    made: Seed,
    queue_id: str,
    *,
    subject: str = "Hello",
    tags: list[str] | None = None,
    at: datetime | None = None,
) -> None:
    """An accepted message of the seeded account."""
    now = at or utcnow()
    standing = authority(session, made.credential.credential.username, now)
    assert standing is not None
    accept(
        session,
        Acceptance(
            node="n1",
            queue_id=queue_id,
            authority=standing,
            domain_id=made.domain_id,
            from_address="hello@example.com",
            envelope_sender="bounces@example.com",
            recipients=["anna@example.org", "bert@example.org"],
            subject=subject,
            message_id=f"<{queue_id}@example.com>",
            size=4321,
            now=now,
            tags=tags or [],
            client_ip="192.0.2.7",
            client_helo="app.example.com",
            tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
            auth_method="PLAIN",
            signatures=[{"domain": "example.com", "selector": "s1", "algorithm": "rsa-sha256"}],
        ),
    )


def _attempts(queue_id: str, now: datetime) -> list[events.Attempt]:
    remote = {"remote_host": "mx.example.org", "remote_ip": "198.51.100.9"}
    return [
        events.Attempt(
            queue_id, "anna@example.org", "deferred", now, 451, "4.7.1",
            "451 4.7.1 greylisted", delay=0.5, **remote,
        ),
        events.Attempt(
            queue_id, "anna@example.org", "delivered", now + timedelta(minutes=5), 250, "2.0.0",
            "250 2.0.0 Ok: queued as ABC", delay=305.0, **remote,
        ),
        events.Attempt(
            queue_id, "bert@example.org", "bounced", now, 550, "5.1.1",
            f"550 5.1.1 user unknown {HOSTILE}", delay=1.5, **remote,
        ),
    ]  # fmt: skip


def some_day(number: int) -> datetime:
    """Distinct moments on one day, for paging; a coming one, for prices have a start."""
    return datetime(2099, 1, 5, tzinfo=UTC) + timedelta(seconds=number)
