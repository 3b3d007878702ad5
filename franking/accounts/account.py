"""Accounts: the tenants that own money, domains, credentials and messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import utcnow
from franking.money import ledger
from franking.money.deposits.models import Deposit
from franking.money.models import LedgerEntry, Plan, Reservation
from franking.reasons import Invalid, NotFound, Taken

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


def get(session: Session, name: str) -> Account:
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        raise NotFound(f"there is no account {name!r}")
    return account


def all_of(session: Session) -> Sequence[Account]:
    return session.scalars(select(Account).order_by(Account.name)).all()
