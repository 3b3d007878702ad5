"""Rows that tests need, made by the functions that make them in production.

Each takes a session and returns the row; the caller commits.  Money in micro-units.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.accounts.credentials import Created
from franking.accounts.models import Account
from franking.db import utcnow
from franking.domains import ownership
from franking.domains.models import Domain
from franking.mail.acceptance import Acceptance, accept
from franking.mail.authority import authority
from franking.money import ledger, pricing
from franking.money.models import Plan

MASTER_KEY = bytes(range(32))
MASTER_KEY_BASE64 = base64.b64encode(MASTER_KEY).decode()
PREFIX = "frank"
PRICE = 800
BALANCE = 1_000_000

_numbers = itertools.count(1)


def plan(session: Session, *, unit_price: int = PRICE, currency: str = "EUR") -> Plan:
    return pricing.create_plan(
        session, f"plan-{next(_numbers)}", currency=currency, unit_price=unit_price
    )


def account(session: Session, name: str | None = None, *, on: Plan | None = None) -> Account:
    """An account with nothing on it."""
    return accounts.create(session, name or f"account-{next(_numbers)}", plan=on or plan(session))


def funded(
    session: Session, name: str | None = None, *, amount: int = BALANCE, on: Plan | None = None
) -> Account:
    made = account(session, name, on=on)
    ledger.deposit(session, made.id, amount, reference=f"test-{next(_numbers)}")
    return made


def credential(session: Session, owner: Account, name: str = "website") -> Created:
    return credentials.create(session, owner, name, prefix=PREFIX)


def verified_domain(session: Session, owner: Account, name: str = "example.com") -> Domain:
    domain = ownership.add(session, owner, name, master_key=MASTER_KEY)
    ownership.mark_verified(session, domain, by="assumed")
    return domain


def message(
    session: Session,
    username: str,
    domain_id: int,
    queue_id: str,
    at: datetime,
    *,
    node: str = "n1",
    recipients: Sequence[str] = ("anna@example.org",),
    tags: Sequence[str] = (),
    subject: str = "Hello",
) -> str:
    """An accepted message, at the prices of now or, should they begin later, of `at`."""
    standing = authority(session, username, max(at, utcnow()))
    assert standing is not None
    accept(
        session,
        Acceptance(
            node=node,
            queue_id=queue_id,
            authority=standing,
            domain_id=domain_id,
            from_address="hello@example.com",
            envelope_sender="bounces@example.com",
            recipients=list(recipients),
            subject=subject,
            message_id=f"<{queue_id}@example.com>",
            size=4321,
            now=at,
            tags=list(tags),
        ),
    )
    return queue_id


def suspend(session: Session, owner: Account, reason: str = "unpaid invoice") -> None:
    owner.status = "suspended"
    owner.suspended_reason = reason
    session.flush()
