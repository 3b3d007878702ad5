"""`franking suppression`, as an operator types it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from franking.accounts.models import AuditEntry
from franking.db import Database
from tests.command_line import Cli


def audited(cli: Cli) -> list[tuple[str, dict[str, object]]]:
    database = Database(f"sqlite:///{cli.settings.with_name('f.db')}")
    with database.session() as session:
        rows = session.query(AuditEntry).order_by(AuditEntry.id).all()
        found = [(row.action, row.detail) for row in rows if row.action.startswith("suppression.")]
    database.close()
    return found


def test_from_adding_to_removal(ready: Cli) -> None:
    made = ready.ok("suppression", "add", "Joe@Bücher.example", "--note", "asked by phone")
    assert made["address"] == "joe@xn--bcher-kva.example" and made["expires_at"] is None
    assert "there already" in ready.refused("suppression", "add", "joe@bücher.example")
    stream = ("--scope", "stream:news")
    ready.ok("suppression", "add", "joe@x.yz", "--reason", "complaint", "--days", "3", *stream)
    newest, oldest = ready.ok("suppression", "list")
    assert (newest["scope"], oldest["note"]) == ("stream:news", "asked by phone")
    assert ready.ok("suppression", "list", "--before", str(newest["id"])) == [oldest]
    for chosen in (("--find", "x.yz"), ("--reason", "complaint"), ("--scope", "stream")):
        assert ready.ok("suppression", "list", *chosen) == [newest]
    assert "asked by phone" in ready.text("suppression", "list")
    warned = ready.run("suppression", "remove", "joe@x.yz", *stream)
    assert warned.exit_code == 0
    assert "Warning: The recipient reported your mail" in warned.stderr
    assert "not suppressed there" in ready.refused("suppression", "remove", "joe@x.yz", *stream)
    assert [action for action, _ in audited(ready)] == [
        "suppression.add", "suppression.add", "suppression.remove",
    ]  # fmt: skip
    assert audited(ready)[-1][1] == {
        "address": "joe@x.yz", "scope": "stream:news", "reason": "complaint", "event_id": None,
    }  # fmt: skip


def test_a_file_comes_in_and_goes_out(ready: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bounces.csv"
    file.write_text(
        "EmailAddress,Reason,LastUpdateTime\n"
        "a@x.yz,BOUNCE,2026-01-07T19:25:45+00:00\nb@x.yz,COMPLAINT,\n"
    )
    arguments = ("suppression", "import", str(file), "--scope", "stream:news")
    assert "2 entries" in ready.text(*arguments, "--check")
    assert ready.ok("suppression", "list") == []
    assert ready.ok(*arguments)["changed"] == 2
    assert ready.ok(*arguments)["changed"] == 0
    assert "0 are new" in ready.text(*arguments)
    lines = list(csv.DictReader(ready.text("suppression", "export").splitlines()))
    assert [(line["address"], line["scope"], line["reason"]) for line in lines] == [
        ("b@x.yz", "stream:news", "complaint"), ("a@x.yz", "account", "hard_bounce"),
    ]  # fmt: skip
    assert lines[1]["created_at"] == "2026-01-07T19:25:45+00:00"
    written = tmp_path / "out.csv"
    ready.text("suppression", "export", str(written))
    assert ready.ok("suppression", "import", str(written))["format"] == "Franking"
    assert [action for action, _ in audited(ready)] == ["suppression.import"] * 4


def test_what_cannot_be_used_is_said_and_is_an_error(ready: Cli, tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("a@x.yz\nnobody\n")
    result = ready.run("suppression", "import", str(file))
    assert result.exit_code == 1
    assert "line 2: 'nobody': it is not of the form name@domain" in result.stdout
    result = ready.run("suppression", "import", str(file), "--json")
    assert json.loads(result.stdout)["faults"][0]["line"] == 2
    assert len(ready.ok("suppression", "list")) == 1
    file.write_text("nothing,of,the,kind\n1,2,3,4\n")
    assert "no known list has these columns" in ready.refused("suppression", "import", str(file))
    assert "a scope is one of" in ready.refused(
        "suppression", "import", str(file), "--scope", "world"
    )
