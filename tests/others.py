"""Another process that wants to write, as the milter does all the time."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from franking.accounts.models import Account
from franking.db import Database
from franking.domains import dkim


def write(database: Database) -> None:
    """Waits for its turn, but not for long: raises while somebody else has it."""
    other = Database(database.engine.url.render_as_string(hide_password=False))
    try:
        with other.transaction() as session:
            session.execute(update(Account).values(name=Account.name))
    finally:
        other.close()


def write_while_keys_are_made(monkeypatch: pytest.MonkeyPatch, database: Database) -> list[str]:
    """Each time that a DKIM key is made; returns the list that their algorithms will be in."""
    made: list[str] = []
    real = dkim.generate

    def generate(algorithm: str = dkim.RSA) -> dkim.Pair:
        write(database)
        made.append(algorithm)
        return real(algorithm)

    monkeypatch.setattr(dkim, "generate", generate)
    return made
