"""Streams: those that credentials name, what was said about them, and who is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from franking.accounts import credentials
from franking.db import Database
from franking.mail import streams
from franking.mail.authority import authority
from franking.mail.streams import Known
from franking.reasons import Invalid
from tests import factories
from tests.command_line import Cli

NOW = datetime(2099, 1, 1, tzinfo=UTC)


def test_those_in_use_and_those_that_are_marked(database: Database) -> None:
    with database.transaction() as session:
        owner, other = factories.account(session), factories.account(session)
        for name in ("one", "two", "gone"):
            made = factories.credential(session, owner, name).credential
            made.stream = "default" if name != "gone" else "old"
        session.flush()
        credentials.revoke(session, owner, made.username)
        for bulk in (True, False, True):
            streams.mark(session, owner, "newsletter", bulk=bulk)
        streams.mark(session, other, "default", bulk=True)
        assert streams.all_of(session, owner) == [
            Known("default", False, 2),
            Known("newsletter", True, 0),
        ]


@pytest.mark.parametrize("name", ["", "Newsletter", "a b", "-x", "x" * 33])
def test_what_is_no_name(database: Database, name: str) -> None:
    with database.transaction() as session, pytest.raises(Invalid):
        streams.mark(session, factories.account(session), name, bulk=True)


def test_the_hot_path_knows(database: Database) -> None:
    with database.transaction() as session:
        owner, other = factories.account(session), factories.account(session)
        username = factories.credential(session, owner).credential.username
        streams.mark(session, other, "default", bulk=True)
        streams.mark(session, owner, "newsletter", bulk=True)

        def bulk() -> bool:
            found = authority(session, username, NOW)
            assert found is not None
            return found.bulk

        assert not bulk()
        streams.mark(session, owner, "default", bulk=True)
        assert bulk()
        streams.mark(session, owner, "default", bulk=False)
        assert not bulk()


def test_on_the_command_line(ready: Cli) -> None:
    assert ready.ok("stream", "set", "newsletter", "--bulk") == {"name": "newsletter", "bulk": True}
    (row,) = ready.ok("stream", "list")
    assert row == {"name": "newsletter", "bulk": True, "credentials": 0}
    assert "bulk" in ready.text("stream", "list")
    assert "without one click" in ready.text("stream", "set", "newsletter", "--bulk")
    assert "is not bulk" in ready.text("stream", "set", "newsletter", "--no-bulk")
    assert "no name of a stream" in ready.refused("stream", "set", "News Letter", "--bulk")
    assert "bulk" in ready.refused("stream", "set", "newsletter")
