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
from franking.money.models import Plan
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


def get(session: Session, name: str) -> Account:
    account = session.scalar(select(Account).where(Account.name == name))
    if account is None:
        raise NotFound(f"there is no account {name!r}")
    return account


def all_of(session: Session) -> Sequence[Account]:
    return session.scalars(select(Account).order_by(Account.name)).all()
