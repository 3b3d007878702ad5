"""People who log in to the panel.

Passwords are argon2id with OWASP's parameters for small hosts (19 MiB, t=2, p=1: about 24 ms), in
the plain PHC form that Flask-Security verifies too.
"""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, User
from franking.reasons import Invalid, Taken

SHORTEST_PASSWORD = 10
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def hash_password(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(f"a password has at least {SHORTEST_PASSWORD} characters")
    return _hasher.hash(password)


def create(session: Session, account: Account, email: str, password: str) -> User:
    """A user of this account; e-mail addresses are unique over all accounts."""
    try:
        address = validate_email(
            email, check_deliverability=False, test_environment=True
        ).normalized.lower()
    except EmailNotValidError as error:
        raise Invalid(f"{email!r}: {error}") from error
    if session.scalar(select(User.id).where(User.email == address)):
        raise Taken(f"there is a user {address!r} already")
    user = User(
        account=account,
        email=address,
        password=hash_password(password),
        fs_uniquifier=secrets.token_hex(32),
    )
    session.add(user)
    session.flush()
    return user
