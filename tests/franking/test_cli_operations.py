"""What an operator types about nodes and held mail."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from franking.accounts import rules
from franking.accounts.models import AuditEntry
from franking.accounts.rules import Rules, parse_window
from franking.cli import main
from franking.db import Database
from franking.mail import acceptance
from franking.mail.acceptance import Acceptance, Outcome
from franking.mail.authority import authority
from franking.mail.models import HeldMessage
from franking.nodes import nodes
from franking.nodes.nodes import Condition
from franking.settings import Overload
from tests import factories

Run = Callable[..., Result]


@pytest.fixture
def run(database: Database, tmp_path: Path) -> Run:
    settings = tmp_path / "franking.toml"
    settings.write_text(f'node = "n1"\ndatabase_url = "{database.engine.url}"\n')

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["--settings", str(settings), *arguments])

    return run


def ok(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def audited(database: Database) -> list[tuple[str, dict[str, Any]]]:
    with database.session() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.action, row.detail) for row in rows if row.actor.startswith("cli:")]


def test_this_node_is_the_default(run: Run, database: Database) -> None:
    drained = ok(run("node", "drain", "--reason", "new disk", "--json"))
    assert (drained["name"], drained["state"], drained["reason"]) == ("n1", "draining", "new disk")
    assert "new disk" in run("node", "list").output
    assert ok(run("node", "resume", "n1", "--json"))["state"] == "active"
    assert [node["name"] for node in ok(run("node", "list", "--json"))["nodes"]] == ["n1"]
    assert audited(database) == [
        ("node.drain", {"node": "n1", "reason": "new disk"}),
        ("node.resume", {"node": "n1"}),
    ]


def test_a_node_that_nobody_knows(run: Run) -> None:
    result = run("node", "drain", "n11")
    assert result.exit_code == 1
    assert "there is no node 'n11'" in result.output


@pytest.fixture
def held(database: Database) -> str:
    """The queue ID of a held message."""
    with database.transaction() as session:
        owner = factories.funded(session)
        owner.plan.rules = rules.stored(Rules(windows=(parse_window("1/month hold"),)))
        domain = factories.verified_domain(session, owner)
        made = factories.credential(session, owner)
        session.flush()
        now = datetime.now(UTC)  # not before the price is
        who = authority(session, made.credential.username, now)
        assert who is not None
        for queue_id in ("A", "B"):
            message = Acceptance(
                node="n1", queue_id=queue_id, authority=who, domain_id=domain.id,
                from_address="a@example.com", envelope_sender="a@example.com",
                recipients=["x@dest.example"], subject="s", message_id="m", size=1, now=now,
            )  # fmt: skip
            outcome = acceptance.accept(session, message)
    assert outcome is Outcome.HOLD
    return queue_id


def test_list_and_release(run: Run, database: Database, held: str) -> None:
    page = ok(run("message", "list", "--status", "held", "--json"))
    assert [message["queue_id"] for message in page["messages"]] == [held]
    assert "1 messages per month" in run("message", "release", held).output
    asked = _row(database, held)
    assert asked.release_requested_at is not None and asked.granted_at is None
    assert ok(run("message", "release", held, "--force", "--json"))["forced"]
    assert _row(database, held).granted_at is not None
    assert [action for action, _ in audited(database)] == [
        "message.release_requested",
        "message.release_forced",
    ]


def _row(database: Database, queue_id: str) -> HeldMessage:
    with database.session() as session:
        return session.get_one(HeldMessage, (queue_id, "n1"))


@pytest.mark.parametrize("options", [[], ["--force"]])
def test_only_held_mail_can_be_released(run: Run, held: str, options: list[str]) -> None:
    assert held == "B"
    result = run("message", "release", "A", *options)
    assert result.exit_code == 1
    assert "no message 'A' is held" in result.output


def test_doctor_tells_how_the_node_is_doing(run: Run, database: Database) -> None:
    def said() -> str:
        findings = json.loads(run("doctor", "--json").stdout)["findings"]
        return str(next(f["detail"] for f in findings if f["name"] == "housekeeping"))

    assert said() == "never ran"
    now = datetime.now(UTC)
    condition = Condition(queued=7, waiting=0, oldest_seconds=0, load=0)
    for at, detail in (
        (now - timedelta(days=1), "last report 86"),
        (now, "7 messages in the queue"),
    ):
        with database.transaction() as session:
            nodes.report(session, "n1", condition, Overload(), at)
        assert said().startswith(detail)
    run("node", "drain")
    assert said() == "this node is draining"
