"""`franking credential`: restrictions, rotation, and who uses which secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from franking.accounts import uses
from franking.accounts.models import AuditEntry, Credential
from franking.db import Database, utcnow
from tests.command_line import Cli

TOMORROW = f"{utcnow() + timedelta(days=1):%F}"


@pytest.fixture
def username(ready: Cli) -> str:
    ready.ok("domain", "add", "shop.example")
    return str(ready.ok("credential", "create", "website")["username"])


@pytest.fixture
def rows(ready: Cli, tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/f.db")
    yield database
    database.close()


def audited(rows: Database, action: str) -> list[dict[str, Any]]:
    with rows.session() as session:
        query = select(AuditEntry).where(AuditEntry.action == f"credential.{action}")
        return [entry.detail for entry in session.scalars(query.order_by(AuditEntry.id))]


RESTRICTED = (
    *("--expires", TOMORROW),
    *("--network", "192.0.2.0/24"),
    *("--network", "2001:db8::/32"),
    *("--domain", "Shop.example"),
    "--allow-plaintext",
    *("--stream", "invoices"),
    *("--rule", "max_recipients=5"),
    *("--limit", "100/minute"),
)
EXPECTED = {
    "stream": "invoices",
    "expires_at": f"{TOMORROW}T00:00:00+00:00",
    "source_networks": ["192.0.2.0/24", "2001:db8::/32"],
    "sending_domains": ["shop.example"],
    "allow_plaintext": True,
}


def test_create_and_set_take_the_same_options(ready: Cli, username: str, rows: Database) -> None:
    made = ready.ok("credential", "create", "other", "--mode", "test", *RESTRICTED)
    assert made["secret"].startswith("frank_test_") and made["mode"] == "test"
    ready.ok("credential", "set", username, *RESTRICTED)
    for name in (username, made["username"]):
        shown = ready.ok("credential", "show", name)
        assert {key: shown[key] for key in EXPECTED} == EXPECTED
        assert shown["rules"]["max_recipients"] == 5
        assert shown["rules"]["windows"] == ["100/minute messages by credential defer"]
    (change,) = audited(rows, "set")
    assert change["before"]["source_networks"] == []
    assert change["after"]["expires_at"] == EXPECTED["expires_at"]
    assert audited(rows, "create")[1]["allow_plaintext"] is True


def test_set_changes_only_what_is_said(ready: Cli, username: str) -> None:
    ready.ok("credential", "set", username, *RESTRICTED)
    before = ready.ok("credential", "show", username)
    ready.ok("credential", "set", username, "--expires", "never", "--domain", "none")
    after = ready.ok("credential", "show", username)
    assert after == before | {"expires_at": None, "sending_domains": []}
    ready.ok("credential", "set", username, "--network", "none", "--require-encryption")
    ready.ok("credential", "set", username, "--rule", "max_recipients=", "--limit", "none")
    assert ready.ok("credential", "show", username)["source_networks"] == []
    assert "those of the plan" in ready.text("credential", "show", username)


def test_times_with_a_zone(ready: Cli, username: str) -> None:
    ready.ok("credential", "set", username, "--expires", f"{TOMORROW}T18:00+02:00")
    shown = ready.ok("credential", "show", username)
    assert datetime.fromisoformat(shown["expires_at"]) == datetime.fromisoformat(
        f"{TOMORROW}T16:00"
    ).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--expires", "soon"), "write 2027-01-31"),
        (("--expires", "2020-01-31"), "not in the future"),
        (("--network", "192.0.2.7/24"), "write 192.0.2.0/24"),
        (("--domain", "bank.example"), "not among the domains of this account"),
        (("--allow-plaintext",), "needs a list of source networks"),
        (("--stream", "No"), "no name of a stream"),
        (("--rule", "envelope_sender=rewrite"), "there is no such rule"),
        (("--rule", "max_messages_per_connection=6"), "6 is more than the plan's 5"),
        (("--rule", "custom_headers=keep"), "which is stricter"),
        (("--limit", "200/minute"), "is more than the plan's 100/minute"),
    ],
)
def test_refusals_are_sentences(
    ready: Cli, username: str, arguments: tuple[str, ...], said: str
) -> None:
    ready.ok("plan", "set", "standard", "--profile", "strict", "--limit", "100/minute")
    before = ready.ok("credential", "show", username)
    assert said in ready.refused("credential", "set", username, *arguments)
    assert ready.ok("credential", "show", username) == before
    assert said in ready.refused("credential", "create", "x", *arguments)


def test_rotation(ready: Cli, username: str, rows: Database) -> None:
    with rows.transaction() as session:
        row = session.scalars(select(Credential)).one()
        old = row.secret_hint
        uses.logged_in(
            session,
            row.id,
            secret_hint=old,
            client_ip="192.0.2.7",
            listener="submission",
            at=utcnow(),
        )
    rotated = ready.ok("credential", "rotate", username)
    assert rotated["username"] == username
    until = datetime.fromisoformat(rotated["previous_until"]) - utcnow()
    assert timedelta(days=6, hours=23) < until < timedelta(days=7)
    said = ready.refused("credential", "rotate", username, "--overlap-days", "0")
    assert f"…{old} still works until" in said and "end that overlap first" in said
    (client,) = ready.ok("credential", "show", username)["clients"]
    assert client["secret_ends_with"] == old and client["secret_state"] == "previous"
    text = ready.text("credential", "show", username)
    assert "192.0.2.7" in text and f"…{old}, which works until" in text
    assert "clients:" in text and rotated["secret"] not in text
    for _ in range(2):
        ready.ok("credential", "end-overlap", username)
    (client,) = ready.ok("credential", "show", username)["clients"]
    assert client["secret_state"] == "ended"
    again = ready.text("credential", "rotate", username, "--overlap-days", "0")
    assert "no longer works" in again
    assert [entry["previous"] for entry in audited(rows, "rotate")] == [
        old,
        rotated["secret_ends_with"],
    ]
    assert audited(rows, "end_overlap")[0]["ended"] == old
    assert rotated["secret"] not in json.dumps(audited(rows, "rotate"))


def test_the_operator_bounds_the_overlap(ready: Cli, username: str) -> None:
    with ready.settings.open("a") as file:
        file.write("[credentials]\nlongest_overlap_days = 3\n")
    assert "0 to 3 days" in ready.refused("credential", "rotate", username, "--overlap-days", "4")
    rotated = ready.ok("credential", "rotate", username)
    until = datetime.fromisoformat(rotated["previous_until"]) - utcnow()
    assert timedelta(days=2) < until < timedelta(days=3)


def test_secrets_are_shown_again_only_where_that_is_on(
    ready: Cli, username: str, rows: Database
) -> None:
    assert "credentials.reveal is off" in ready.refused("credential", "reveal", username)
    with ready.settings.open("a") as file:
        file.write("[credentials]\nreveal = true\n")
    assert "rotate it" in ready.refused("credential", "reveal", username)
    assert audited(rows, "reveal") == []
    rotated = ready.ok("credential", "rotate", username)
    made = ready.ok("credential", "create", "other")
    for each in (rotated, made):
        assert ready.text("credential", "reveal", each["username"]).strip() == each["secret"]
    assert audited(rows, "reveal") == [{"username": username}, {"username": made["username"]}]
