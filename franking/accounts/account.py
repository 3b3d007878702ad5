"""Accounts: the tenants that own money, domains, credentials and messages."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, User
from franking.db import utcnow
from franking.domains import locks, ownership, removal
from franking.money import ledger
from franking.money.deposits.models import Deposit
from franking.money.models import LedgerEntry, Plan, Reservation
from franking.reasons import Invalid, NotFound, Taken
from franking.webhooks import endpoints

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


def create(session: Session, name: str, *, plan: Plan, now: datetime | None = None) -> Account:
    """A new account with a balance of zero; `name` is a slug such as `acme-shop`."""
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r}: use lower-case letters, digits and hyphens, at most 64")
    if session.scalar(select(Account.id).where(Account.name == name)):
        raise Taken(f"there is an account {name!r} already")
    account = Account(name=name, plan=plan, created_at=now or utcnow())
    session.add(account)
    session.flush()
    ledger.open_books(session, account.id)
    return account


def change_plan(session: Session, account: Account, plan: Plan) -> None:
    """From the next message on; raises Invalid for a plan in another currency.

    Books, statements and invoices are in the plan's currency, so that changes only for an account
    on whose books there is nothing yet, and no payment is on its way.
    """
    if plan.currency != account.plan.currency and _has_books(session, account):
        raise Invalid.of(
            "plan",
            f"the books of {account.name!r} are in {account.plan.currency} and plan"
            f" {plan.name!r} is in {plan.currency}; open another account",
        )
    account.plan = plan
    session.flush()


def _has_books(session: Session, account: Account) -> bool:
    waiting = Reservation.state == "waiting"
    pending = Deposit.state == "pending"
    return any(
        session.scalar(select(owner).where(owner == account.id, *conditions).limit(1)) is not None
        for owner, conditions in (
            (LedgerEntry.account_id, ()),
            (Reservation.account_id, (waiting,)),
            (Deposit.account_id, (pending,)),
        )
    )


def close(session: Session, account: Account, now: datetime) -> None:
    """For good: nobody logs in any more, to the panel or with an API key, and nothing is signed.

    Its domains are removed, so that nothing of their keys can be reached, and another account may
    prove them at once; its endpoints are told nothing more.  Its books, messages and what was
    said about them stay.
    """
    domains = ownership.all_to_change(session, account)  # these first: the lock order
    removal.lock_zone(session, domains)
    account.status, account.suspended_reason = "closed", "the account is closed"
    for credential in locks.credentials_of(session, account.id):
        credential.revoked_at = credential.revoked_at or now
        credential.sealed_secret = None
    for user in session.scalars(select(User).where(User.account_id == account.id)):
        user.active = False
        user.fs_uniquifier = secrets.token_hex(32)  # ends the sessions that there are
    for domain in domains:
        removal.remove(session, domain, now)
    for endpoint in endpoints.all_of(session, account):
        endpoints.disable(session, account, endpoint.id, "the account is closed", now)
    session.flush()


def get(session: Session, name: str) -> Account:
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        raise NotFound(f"there is no account {name!r}")
    return account


def all_of(session: Session) -> Sequence[Account]:
    return session.scalars(select(Account).order_by(Account.name)).all()
