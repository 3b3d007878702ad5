"""Failed logins, counted per source address and per account; shared by all nodes.

A run of failures begins with the first one and is forgotten `window` after it, whatever came
since: so no failure counts for longer, and a client that is let in again is not counted out by
what it did before.  An IPv6 address counts as its /64, which is what one client has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, case, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.accounts import networks
from franking.accounts import secret as secrets_format
from franking.accounts.models import AuthFailure, Credential, CredentialUse

MOST_READ = 10_000  # runs; the latest


@dataclass(frozen=True)
class Run:
    """So many failures, of which the first and the last were then."""

    failures: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class Owner:
    """Whose user name it is."""

    account_id: int
    credential_id: int


_TABLE = AuthFailure.__table__
_columns = _TABLE.c
_ROW: dict[str, Any] = {
    "subject": bindparam("b_subject"),
    "failures": bindparam("b_failures"),
    "first_at": bindparam("b_first_at"),
    "last_at": bindparam("b_last_at"),
}
_OVER = _columns.first_at <= bindparam("b_forgotten", type_=_columns.first_at.type)
_GROWN: dict[str, Any] = {
    "failures": case(
        (_OVER, bindparam("b_failures")), else_=_columns.failures + bindparam("b_failures")
    ),
    "first_at": case(
        (_OVER, bindparam("b_first_at", type_=_columns.first_at.type)), else_=_columns.first_at
    ),
    "last_at": bindparam("b_last_at"),
}
_ADD: dict[str, Any] = {
    "sqlite": sqlite.insert(AuthFailure)
    .values(_ROW)
    .on_conflict_do_update(index_elements=("subject",), set_=_GROWN),
    "postgresql": postgresql.insert(AuthFailure)
    .values(_ROW)
    .on_conflict_do_update(index_elements=("subject",), set_=_GROWN),
}


def address_subject(client_ip: str | None) -> str | None:
    """None for what is no address: strangers without one must not lock out each other."""
    found = networks.source(client_ip)
    return None if found is None else f"address:{found}"


def account_subject(account_id: int) -> str:
    return f"account:{account_id}"


def name_subject(username: str) -> str:
    """Of a name that nobody has; hashed, because people put secrets into the wrong field."""
    return f"name:{hashlib.sha256(username.encode()).hexdigest()}"


def add(session: Session, runs: Mapping[str, Run], window: timedelta) -> None:
    """Count these failures, by subject.  In one order, so that two nodes cannot deadlock."""
    values = [
        {
            "b_subject": subject,
            "b_failures": run.failures,
            "b_first_at": run.first_at,
            "b_last_at": run.last_at,
            "b_forgotten": run.last_at - window,
        }
        for subject, run in sorted(runs.items())
    ]
    if values:
        connection = session.connection()
        connection.execute(_ADD[connection.dialect.name], values)


def since(session: Session, at: datetime) -> dict[str, Run]:
    """Runs that grew since then, everybody's; oldest first, at most the MOST_READ latest."""
    rows = session.execute(
        select(_columns.subject, _columns.failures, _columns.first_at, _columns.last_at)
        .where(_columns.last_at >= at)
        .order_by(_columns.last_at.desc())
        .limit(MOST_READ)
    )
    return {
        row.subject: Run(row.failures, row.first_at, row.last_at) for row in reversed(rows.all())
    }


def owners(session: Session, usernames: Collection[str]) -> dict[str, Owner]:
    """Whose names these are, as a client says them: a secret stands for its user name."""
    said = {name: _username(name) for name in usernames}
    rows = session.execute(
        select(Credential.username, Credential.account_id, Credential.id).where(
            Credential.username.in_(set(said.values()))
        )
    )
    found = {row.username: Owner(row.account_id, row.id) for row in rows}
    return {name: found[username] for name, username in said.items() if username in found}


def known_client(session: Session, account_id: int, client_ip: str | None) -> bool:
    """Whether this address has logged in to the account before."""
    client = networks.address(client_ip)
    if client is None:
        return False
    of_account: Sequence[Any] = (
        Credential.account_id == account_id,
        CredentialUse.credential_id == Credential.id,
        CredentialUse.client_ip == str(client),
    )
    return bool(session.scalar(select(exists().where(*of_account))))


def _username(said: str) -> str:
    parsed = secrets_format.parse(said)
    return parsed.username if parsed else said
