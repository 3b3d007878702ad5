"""A customer's account as it looks after a morning's work: what the panel's pages are shown with.

Thirty messages in all states, a refusal of each common kind, credentials of which one is revoked,
one expired and one being rotated.  Everything is written by the functions that write it in
production.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from franking.accounts import credentials, users, uses
from franking.accounts.credentials import Options
from franking.accounts.models import Account, Credential
from franking.accounts.rules import Narrowing, parse_window
from franking.db import utcnow
from franking.domains.models import Domain
from franking.mail import acceptance, events, replies
from franking.mail.acceptance import Acceptance
from franking.mail.authority import Authority, authority
from franking.mail.events import Attempt
from franking.mail.replies import Reply
from franking.money import settling
from tests import factories

EMAIL = "mara@shop.example"
PASSWORD = "correct horse battery staple"
NODE = "n1"

GREYLISTED = (
    "450 4.2.0 <ines@inbox.example>: Recipient address rejected: Greylisted, see"
    " https://inbox.example/postmaster/greylisting?client=203.0.113.7"
)
DELIVERED = "250 2.0.0 Ok: queued as 4d8QxK2hTzz1Wy"
UNKNOWN = (
    "550 5.1.1 <old.customer@mailbox.example>: Recipient address rejected: User unknown in virtual"
    " mailbox table"
)
TIMED_OUT = "connect to mx.slow.example[192.0.2.99]:25: Connection timed out"

# Recipients, subject, tags, and what the remote servers did.
Letter = tuple[list[str], str, list[str], str]
LETTERS: list[Letter] = [
    (["tom@inbox.example"], "Your order 10482 is on its way", ["order"], "delivered"),
    (["ines@inbox.example"], "Your order 10483 is on its way", ["order"], "greylisted"),
    (["old.customer@mailbox.example"], "We miss you: 10 % off", ["campaign"], "bounced"),
    (["ana@slow.example"], "Invoice 2026-0931", ["invoice"], "deferred"),
    (["lee@inbox.example"], "Reset your password", ["account"], "queued"),
    (["kim@slow.example"], "Invoice 2026-0899", ["invoice"], "expired"),
    (["tom@inbox.example", "old.customer@mailbox.example"], "New opening hours", [], "partial"),
    (["max@inbox.example"], "Grüße aus Köln, und eine Bitte: bewerten Sie Ihren Einkauf vom"
     " letzten Dienstag in unserem Geschäft", ["review"], "delivered"),
    (["eva@inbox.example"], "Your order 10484 is on its way", ["order"], "delivered"),
    (["raj@inbox.example"], "Your order 10485 was cancelled", ["order"], "voided"),
]  # fmt: skip
ROUNDS = 3
LATE = 4  # the refusals come before the last so many messages


@dataclass(frozen=True)
class Seeded:
    """What a test needs to know of the rows."""

    queue_ids: dict[str, str]  # the newest message with each outcome
    usernames: dict[str, str]  # of each credential, by its name


def populate(session: Session, now: datetime) -> Seeded:
    account = factories.funded(session, "shop", amount=25_000_000)
    users.create(session, account, EMAIL, PASSWORD)
    domain = factories.verified_domain(session, account, "shop.example")
    shop = factories.credential(session, account, "Web shop").credential
    _restricted(session, account, now)
    old = factories.credential(session, account, "Old server").credential
    credentials.revoke(session, account, old.username, now - timedelta(days=3))
    uses.logged_in(
        session,
        shop.id,
        secret_hint=shop.secret_hint,
        client_ip="203.0.113.20",
        listener="submission",
        at=now - timedelta(minutes=2),
    )
    standing = authority(session, shop.username, utcnow())
    assert standing is not None
    outcomes: dict[str, str] = {}
    for number in reversed(range(ROUNDS * len(LETTERS))):
        queue_id = f"4fQ{number:02d}mZ3xNz1bTk"
        letter = LETTERS[number % len(LETTERS)]
        at = now - timedelta(minutes=3 + 7 * number)
        _accept(session, standing, domain, letter, queue_id=queue_id, at=at)
        _carry(session, queue_id, letter, at)
        outcomes[letter[3]] = queue_id
        if number == LATE:
            _refuse(session, account, shop, now)
    made = credentials.all_of(session, account)
    return Seeded(outcomes, {row.name: row.username for row in made})


def _restricted(session: Session, account: Account, now: datetime) -> None:
    """One in the middle of a rotation, one with all restrictions, one that has expired."""
    news = factories.credential(session, account, "Newsletter").credential
    before, week = news.secret_hint, timedelta(days=7)
    rotated = now - timedelta(days=2)
    credentials.rotate(session, account, news.username, overlap=week, longest=week, now=rotated)
    for secret_hint, client_ip, helo, hours in (
        (before, "203.0.113.31", "news1.shop.example", 3),
        (before, "203.0.113.33", "cron.shop.example", 40),
        (news.secret_hint, "203.0.113.32", "news2.shop.example", 1),
    ):
        at = now - timedelta(hours=hours)
        client = {"secret_hint": secret_hint, "client_ip": client_ip, "at": at}
        uses.logged_in(session, news.id, listener="submission", **client)
        uses.greeted(session, news.id, helo=helo, **client)
    credentials.create(
        session,
        account,
        "Scanner, 2nd floor",
        prefix=factories.PREFIX,
        options=Options(
            stream="office",
            expires_at=now + timedelta(days=365),
            source_networks=("203.0.113.64/26", "2001:db8:7::/48"),
            sending_domains=("shop.example",),
            allow_plaintext=True,
            rules=Narrowing(max_recipients=5, windows=(parse_window("10/minute by credential"),)),
        ),
    )
    credentials.create(
        session,
        account,
        "Staging",
        prefix=factories.PREFIX,
        mode="test",
        options=Options(expires_at=now - timedelta(days=1)),
        now=now - timedelta(days=30),
    )


def _accept(
    session: Session,
    standing: Authority,
    domain: Domain,
    letter: Letter,
    *,
    queue_id: str,
    at: datetime,
) -> None:
    recipients, subject, tags, _ = letter
    acceptance.accept(
        session,
        Acceptance(
            node=NODE,
            queue_id=queue_id,
            authority=standing,
            domain_id=domain.id,
            from_address="orders@shop.example",
            envelope_sender="bounces@shop.example",
            recipients=recipients,
            subject=subject,
            message_id=f"<{queue_id}@shop.example>",
            size=4_812,
            now=at,
            tags=tags,
            client_ip="203.0.113.20",
            client_helo="web1.shop.example",
            tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
            auth_method="PLAIN",
            signatures=[{"domain": "shop.example", "selector": "f1", "algorithm": "rsa-sha256"}],
        ),
    )


def _carry(session: Session, queue_id: str, letter: Letter, at: datetime) -> None:
    """What the worker would have read in Postfix's log of this message."""
    recipients, _, _, outcome = letter
    if outcome == "voided":
        settling.settle(session, NODE, {queue_id: ("voided", "no queue file")}, at)
        events.record_voided(session, NODE, {queue_id: "Postfix did not keep the message"}, at)
        return
    settling.settle(session, NODE, {queue_id: ("captured", "cleanup")}, at)
    attempts = [
        attempt
        for recipient in recipients
        for attempt in _attempts(queue_id, recipient, outcome, at)
    ]
    events.record(session, NODE, attempts)
    if outcome == "expired":
        events.record_expired(session, NODE, [(queue_id, at + timedelta(minutes=2))])


def _attempts(queue_id: str, recipient: str, outcome: str, at: datetime) -> list[Attempt]:
    def said(kind: str, seconds: int, reply: str, code: int | None, enhanced: str) -> Attempt:
        host, ip = {
            "inbox.example": ("mx1.inbox.example", "198.51.100.25"),
            "mailbox.example": ("mx.mailbox.example", "192.0.2.80"),
        }.get(recipient.partition("@")[2], (None, None))
        when = at + timedelta(seconds=seconds)
        return Attempt(
            queue_id, recipient, kind, when, code, enhanced, reply, host, ip, float(seconds),
            {"agent": "smtp", "tls": "TLSv1.3"} if host else {"agent": "smtp"},
        )  # fmt: skip

    delivered = said("delivered", 2, DELIVERED, 250, "2.0.0")
    bounced = said("bounced", 1, UNKNOWN, 550, "5.1.1")
    timed_out = said("deferred", 30, TIMED_OUT, None, "4.4.1")
    return {
        "queued": [],
        "delivered": [delivered],
        "bounced": [bounced],
        "deferred": [timed_out, said("deferred", 90, TIMED_OUT, None, "4.4.1")],
        "expired": [timed_out],
        "greylisted": [
            said("deferred", 1, GREYLISTED, 450, "4.2.0"),
            said("delivered", 121, DELIVERED, 250, "2.0.0"),
        ],
        "partial": [bounced if recipient.endswith("@mailbox.example") else delivered],
    }[outcome]


def _refuse(session: Session, account: Account, credential: Credential, now: datetime) -> None:
    refused: list[Reply] = [
        replies.insufficient_balance(),
        replies.from_not_verified("shop-example.com"),
        replies.from_invalid("two From header fields"),
        replies.recipient_invalid("quoted local part"),
        replies.too_large(33_554_432),
        replies.rate_limited("10 messages per minute", 34),
        replies.recipient_suppressed("hard bounce", now.date()),
        replies.relaying_denied(),
        replies.idempotency_conflict(),
        replies.data_invalid(["Subject is missing", "attachment invoice.exe is not allowed"]),
        replies.authentication_failed(replies.AUTH_ADDRESS),
    ]
    for number, reply in enumerate(refused):
        events.record_refusal(
            session,
            account_id=account.id,
            credential_id=credential.id,
            node=NODE,
            key=reply.key,
            smtp_code=reply.code,
            enhanced_code=reply.enhanced,
            text=reply.text,
            sender="orders@shop.example",
            recipient="tom@inbox.example",
            now=now - timedelta(minutes=50 - 4 * number),
            detail={"client_ip": "203.0.113.20", "helo": "web1.shop.example"},
        )
