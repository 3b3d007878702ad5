"""Who is it?  One login, one look at the database, one decision.

Nothing is cached: a revoked key is refused at the next AUTH.  The rule, and what it tells whom, is
`franking.accounts.authentication`.  Trouble of our own is `Unavailable`, never a refusal: a client
that hears 535 may give up for good, one that hears 454 tries again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from franking.accounts import authentication, networks
from franking.accounts.authentication import AuthenticationFailed
from franking.db import Database
from franking.mail import replies
from policyd.dovecot import Login
from policyd.journal import Refusal, Use

LONGEST_ADDRESS = 45  # characters of an IP address
LONGEST_LISTENER = 32


class Unavailable(Exception):
    """No decision could be made; the cause is `__cause__` or the text."""


@dataclass(frozen=True)
class Accepted:
    username: str
    use: Use


@dataclass(frozen=True)
class Denied:
    """`username` and `refusal` are set when the name is one of ours.

    `proved`: the secret was right, so nobody is guessing.
    """

    reason: str
    username: str | None = None
    refusal: Refusal | None = None
    proved: bool = False


def authenticate(database: Database, login: Login, now: datetime) -> Accepted | Denied:
    """Raises Unavailable."""
    try:
        with database.session() as session:
            identity = authentication.authenticate(
                session,
                login.username,
                login.secret,
                client_ip=login.client_ip,
                secured=login.secured,
                now=now,
            )
    except AuthenticationFailed as failure:
        return _denied(failure, login, now)
    except SQLAlchemyError as error:
        raise Unavailable("authenticate") from error
    use = Use(
        identity.credential_id,
        client_address(login),
        now,
        secret_hint=identity.secret_hint,
        listener=login.listener[:LONGEST_LISTENER],
    )
    return Accepted(identity.username, use)


def client_address(login: Login) -> str | None:
    """In one form, so that a client is counted as one; what is no address, as it came."""
    if (known := networks.address(login.client_ip)) is not None:
        return str(known)[:LONGEST_ADDRESS]
    return login.client_ip[:LONGEST_ADDRESS] if login.client_ip else None


def _denied(failure: AuthenticationFailed, login: Login, now: datetime) -> Denied:
    known = failure.identity
    if known is None:
        return Denied(failure.reason)
    detail = {
        "stage": "AUTH",
        "auth_method": login.mechanism,
        "client_ip": client_address(login),
        "listener": login.listener[:LONGEST_LISTENER],
        "secret": f"…{known.secret_hint}" if known.secret_hint else None,
    }
    refusal = Refusal(
        known.account_id,
        known.credential_id,
        replies.authentication_failed(failure.reason),
        now,
        detail={name: value for name, value in detail.items() if value},
    )
    return Denied(failure.reason, known.username, refusal, failure.proved)
