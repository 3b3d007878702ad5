"""Selectors that a domain name's keys have had, in all accounts and for all time.

A receiver may remember the record of a name for as long as its TTL says, and a customer who has
two accounts, or adds a domain again, has the old record and the new one side by side.  So no TXT
record's selector is given twice.  Slots behind CNAMEs are not noted: what they lead to differs.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.domains.models import DkimKey, Domain, UsedSelector

_NOTE: dict[str, Any] = {
    "sqlite": sqlite.insert(UsedSelector).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(UsedSelector).on_conflict_do_nothing(),
}


def of(session: Session, domain: Domain) -> set[str]:
    """Of this name, whichever account has had it."""
    noted = select(UsedSelector.selector).where(UsedSelector.domain == domain.name)
    present = select(DkimKey.selector).join(Domain).where(Domain.name == domain.name)
    return {*session.scalars(noted), *session.scalars(present)}


def claim(session: Session, domain: Domain, selector: str) -> bool:
    """Whether it is this domain's from now on, and was nobody's before; waits for who is about to
    claim the same."""
    if selector in of(session, domain):
        return False
    connection = session.connection()
    values = {"domain": domain.name, "selector": selector}
    return bool(connection.execute(_NOTE[connection.dialect.name], values).rowcount)
