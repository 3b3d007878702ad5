"""Which notices are to be mailed, and how far each has got.

Claimed with a lease: a claimed notice is due again when the lease is over, so a worker that dies
is followed by another.  The lease is renewed before the first person and after each, and whoever
has lost it sends and writes nothing any more.  A crash between the mail server's 250 and our
commit sends a mail again, with the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from franking.accounts.models import User
from franking.notices.models import Notice

LEASE = timedelta(minutes=5)
LIMIT = 20  # of one claim
SENT = "sent"
# After each failure; the one after the last gives up.
RETRIES = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 180, 360, 720, 1440))
TOO_OLD = timedelta(days=3)  # news of then; also what collects while no sender is configured


@dataclass
class Claimed:
    """One notice that is ours to mail until `lease`."""

    id: int
    kind: str
    at: datetime
    detail: dict[str, Any]
    attempts: int
    results: dict[str, str]
    addresses: list[str]  # of those who are not done with
    lease: datetime


def waiting(session: Session, now: datetime) -> bool:
    """Whether a claim is worth a transaction."""
    due = select(Notice.id).where(Notice.mail_due_at <= now).limit(1)
    return session.scalar(due) is not None


def claim(session: Session, now: datetime) -> list[Claimed]:
    """The oldest that are due; on PostgreSQL other workers skip these rows meanwhile."""
    due = select(Notice).where(Notice.mail_due_at <= now).order_by(Notice.mail_due_at).limit(LIMIT)
    lease = now + LEASE
    claimed = []
    for notice in session.scalars(due.with_for_update(skip_locked=True)):
        if notice.at < now - TOO_OLD:
            _close(notice, "not sent within 3 days")
            continue
        notice.mail_due_at = lease
        claimed.append(
            Claimed(
                notice.id, notice.kind, notice.at, notice.detail, notice.mail_attempts,
                dict(notice.mail_results), _addresses(session, notice), lease,
            )
        )  # fmt: skip
    return claimed


def renew(session: Session, claimed: Claimed, now: datetime) -> bool:
    """Before it is begun: others of the same claim may have taken long.  False: it is lost."""
    lease = now + LEASE
    if not _mine(session, claimed, mail_due_at=lease):
        return False
    claimed.lease = lease
    return True


def record(session: Session, claimed: Claimed, address: str, result: str, now: datetime) -> bool:
    """This person is done with, as `result` says; False when the lease is lost."""
    results = {**claimed.results, address: result[:200]}
    lease = now + LEASE
    if not _mine(session, claimed, mail_due_at=lease, mail_results=results):
        return False
    claimed.results, claimed.lease = results, lease
    claimed.addresses.remove(address)
    return True


def finish(session: Session, claimed: Claimed, now: datetime) -> None:
    """Everybody is done with."""
    refused = [f"{who}: {said}" for who, said in claimed.results.items() if said != SENT]
    reached = len(refused) < len(claimed.results)
    error = "; ".join(refused) or (None if reached else "the account has no active user")
    _mine(
        session, claimed, mail_due_at=None, mailed_at=now if reached else None,
        mail_attempts=claimed.attempts + 1, mail_error=error and error[:200],
    )  # fmt: skip


def fail(session: Session, claimed: Claimed, error: str, now: datetime) -> None:
    """The mail server did not take it: later again, or, after the last try, never."""
    due_at = None
    if claimed.attempts < len(RETRIES):
        due_at = now + RETRIES[claimed.attempts]
    else:
        error = f"given up after {claimed.attempts + 1} tries: {error}"
    _mine(
        session, claimed, mail_due_at=due_at, mail_attempts=claimed.attempts + 1,
        mail_error=error[:200],
    )  # fmt: skip


def _mine(session: Session, claimed: Claimed, **values: Any) -> bool:
    mine = update(Notice).where(Notice.id == claimed.id, Notice.mail_due_at == claimed.lease)
    return bool(session.connection().execute(mine.values(values)).rowcount)


def _close(notice: Notice, error: str) -> None:
    notice.mail_due_at, notice.mail_error = None, error


def _addresses(session: Session, notice: Notice) -> list[str]:
    """Of the account's active users, without those that are done with."""
    users = select(User.email).where(User.account_id == notice.account_id, User.active)
    found: Sequence[str] = session.scalars(users.order_by(User.id)).all()
    return [address for address in found if address not in notice.mail_results]
