"""Who is it?  One login, one look at the database, one decision.

Nothing is cached: a revoked key is refused at the next AUTH.  The work is the same for known and
unknown names, and so is the answer.  Trouble of our own is `Unavailable`, never a refusal: a
client that hears 535 may give up for good, one that hears 454 tries again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from franking.accounts import credentials
from franking.accounts.credentials import AuthenticationFailed
from franking.db import Database
from franking.mail import replies
from policyd.dovecot import Login
from policyd.journal import Refusal, Use

LONGEST_ADDRESS = 45  # characters of an IP address


class Unavailable(Exception):
    """No decision could be made; the cause is `__cause__` or the text."""


@dataclass(frozen=True)
class Accepted:
    username: str
    use: Use


@dataclass(frozen=True)
class Denied:
    """`username` and `refusal` are set when the name is one of ours."""

    reason: str
    username: str | None = None
    refusal: Refusal | None = None


def authenticate(database: Database, login: Login, now: datetime) -> Accepted | Denied:
    """Raises Unavailable."""
    ip = login.client_ip[:LONGEST_ADDRESS] if login.client_ip else None
    try:
        with database.session() as session:
            try:
                credential = credentials.authenticate(session, login.username, login.secret)
            except AuthenticationFailed as failure:
                return _denied(failure, login, ip, now)
            return Accepted(credential.username, Use(credential.id, ip, now))
    except SQLAlchemyError as error:
        raise Unavailable("authenticate") from error


def _denied(failure: AuthenticationFailed, login: Login, ip: str | None, now: datetime) -> Denied:
    known = failure.credential
    if known is None:
        return Denied(failure.reason)
    refusal = Refusal(
        known.account_id,
        known.id,
        replies.authentication_failed(failure.reason),
        now,
        detail={
            "stage": "AUTH",
            "auth_method": login.mechanism,
            **({"client_ip": ip} if ip else {}),
        },
    )
    return Denied(failure.reason, known.username, refusal)
