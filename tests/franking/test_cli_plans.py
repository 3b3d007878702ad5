"""`franking plan`: rules as an operator writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from franking.accounts.models import AuditEntry
from franking.accounts.rules import PROFILES, plain
from franking.db import Database
from tests.command_line import Cli

CREATE = ("plan", "create", "p", "--price", "0.001")


def rules(cli: Cli, name: str = "p") -> dict[str, Any]:
    found: dict[str, Any] = cli.ok("plan", "show", name)["rules"]
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles(ready: Cli, profile: str) -> None:
    ready.ok(*CREATE, "--profile", profile)
    assert rules(ready) == plain(PROFILES[profile])


def test_a_profile_with_changes(ready: Cli) -> None:
    made = ready.ok(
        *CREATE,
        *("--profile", "strict"),
        *("--rule", "subject_required=no"),
        *("--rule", "attachments_denied=.EXE, js"),
        *("--rule", "max_recipients=50"),
        *("--rule", "content_refusal=450"),
        *("--limit", "100/minute"),
        *("--limit", "20/second  recipients by address reject"),
    )
    assert made["rules"] == rules(ready)
    assert made["rules"] == plain(PROFILES["strict"]) | {
        "subject_required": False,
        "attachments_denied": ["exe", "js"],
        "max_recipients": 50,
        "content_refusal": 450,
        "windows": [
            "100/minute messages by account defer",
            "20/second recipients by address reject",
        ],
    }


def test_set_changes_only_what_is_said(ready: Cli) -> None:
    ready.ok(*CREATE, "--profile", "strict", "--limit", "100/minute", "--limit", "5/second")
    before = rules(ready)
    ready.ok("plan", "set", "p", "--rule", "max_recipients=7")
    assert rules(ready) == before | {"max_recipients": 7}
    ready.ok("plan", "set", "p", "--rule", "max_recipients=", "--limit", "9/hour")
    assert rules(ready) == before | {"windows": ["9/hour messages by account defer"]}
    ready.ok("plan", "set", "p", "--limit", "none")
    assert rules(ready) == before | {"windows": []}
    ready.ok("plan", "set", "p", "--profile", "standard")
    assert rules(ready) == plain(PROFILES["standard"])


def test_what_show_prints_can_be_typed(ready: Cli) -> None:
    ready.ok(*CREATE, "--profile", "mailersend", "--limit", "20/second by address hold")
    _, shown = ready.text("plan", "show", "p").split("\nrules\n")
    arguments = []
    for line in map(str.strip, shown.splitlines()):
        limit = line.startswith("limit ")
        arguments += ["--limit", line.removeprefix("limit ")] if limit else ["--rule", line]
    ready.ok("plan", "create", "q", "--price", "0.001", *arguments)
    assert rules(ready, "q") == rules(ready)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rule", "max_recipients=0"), "max_recipients: Input should be greater than or equal"),
        (("--rule", "max_recipients=many"), "max_recipients: "),
        (("--rule", "subject_required=perhaps"), "subject_required: "),
        (("--rule", "content_refusal=500"), "content_refusal: "),
        (("--rule", "attachments_denied=e x e"), "not a file name extension"),
        (("--rule", "max_recipient=5"), "no such rule; they are subject_required, "),
        (("--rule", "max_recipient="), "no such rule"),
        (("--rule", "subject_required"), "write a rule like"),
        (("--rule", "windows=5/hour"), "write --limit"),
        (("--limit", "100 per minute"), "write a limit like 100/minute"),
        (("--limit", "0/minute"), "most: "),
        (("--profile", "none"), "'none' is not one of"),
    ],
)
def test_wrong_rules_are_sentences_and_change_nothing(
    ready: Cli, arguments: tuple[str, ...], said: str
) -> None:
    ready.ok(*CREATE)
    before = rules(ready)
    assert said in ready.refused("plan", "set", "p", *arguments)
    assert rules(ready) == before
    assert said in ready.refused("plan", "create", "q", "--price", "1", *arguments)
    assert "no plan" in ready.refused("plan", "show", "q")


def test_how_long_things_are_kept(ready: Cli) -> None:
    ready.ok(*CREATE, "--keep", "messages=30,events=20")
    ready.ok("plan", "set", "p", "--keep", "webhooks=3", "--keep", "events=10")
    kept = {"messages": 30, "events": 10, "webhooks": 3, "accounting": 30}
    assert ready.ok("plan", "show", "p")["terms"]["retention"] == kept
    assert "messages 30 days, events 10 days" in ready.text("plan", "show", "p")
    for wrong in ("webhooks=91", "events=0", "events", "mail=3", "events=-1"):
        assert ready.refused("plan", "set", "p", "--keep", wrong)
    assert ready.ok("plan", "show", "p")["terms"]["retention"] == kept


def test_changes_are_in_the_audit_trail(ready: Cli, tmp_path: Path) -> None:
    ready.ok(*CREATE)
    ready.ok("plan", "set", "p", "--rule", "max_recipients=5")
    database = Database(f"sqlite:///{tmp_path}/f.db")
    with database.session() as session:
        query = select(AuditEntry).where(AuditEntry.action.like("plan.%"))
        created, changed = session.scalars(query.order_by(AuditEntry.id)).all()
    database.close()
    assert (created.action, changed.action) == ("plan.create", "plan.set")
    assert changed.detail["before"]["max_recipients"] is None
    assert changed.detail["after"]["max_recipients"] == 5
