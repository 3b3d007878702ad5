"""Every event is in exactly one file of its account, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from franking.accounting import cutting, spool
from franking.accounts.models import Account
from franking.db import Database
from franking.mail.published import FIELDS
from franking.money.terms import Retention, Terms, stored
from tests.franking.accounting.conftest import HOUR, NINE, Log, log_of, text

# As `franking-worker accounting` does, and dies where it is told to.
ROUND = """
import sys
from datetime import datetime
from pathlib import Path
from franking.accounting.config import Accounting
from franking.accounting.cutting import Cutter
from franking.db import Database
url, directory, now = sys.argv[1], Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3])
Cutter(Database(url), Accounting(directory=directory), directory).round(now, now)
"""


def set_terms(database: Database, account: str, terms: Terms) -> None:
    with database.transaction() as session:
        session.query(Account).filter_by(name=account).one().plan.terms = stored(terms)


def test_each_account_has_its_own_events_in_both_formats(log: Log) -> None:
    log.message("acme", recipients=2)
    log.message("other")
    assert log.round() == 3
    assert [event["recipient"] for event in log.events()] == ["r0@example.org", "r1@example.org"]
    assert [event["account"] for event in log.events("other")] == ["other"]
    first, second = log.events()
    assert list(first) == list(FIELDS)
    assert [row["id"] for row in log.rows()] == [first["id"], second["id"]]
    assert list(log.rows()[0]) == list(FIELDS)
    assert log.files()[0].name == "events-20990105T0900Z-0000001.jsonl.gz"


def test_the_csv_is_safe_for_spreadsheets(log: Log) -> None:
    log.message(subject='=HYPERLINK("http://evil.test")')
    log.round()
    assert log.events()[0]["subject"] == '=HYPERLINK("http://evil.test")'
    row = log.rows()[0]
    assert row["subject"] == '\'=HYPERLINK("http://evil.test")'
    assert row["tags"] == row["bounce_category"] == ""


def test_nothing_new_is_no_new_file_but_a_fresh_manifest(log: Log) -> None:
    log.message()
    log.round()
    assert log.round(NINE + 2 * HOUR) == 0
    assert len(log.files()) == 1
    assert log.manifest()[0]["written_at"] == (NINE + 2 * HOUR).isoformat()


def test_the_manifest_says_what_is_there(log: Log) -> None:
    for hour in (1, 2):
        log.message(recipients=3)
        log.round(NINE + hour * HOUR)
    head, *lines = log.manifest()
    assert head == {
        "manifest": 1, "account": "acme", "written_at": (NINE + 2 * HOUR).isoformat()
    }  # fmt: skip
    assert [(e["sequence"], e["format"]) for e in lines] == [
        (1, "csv"), (1, "jsonl"), (2, "csv"), (2, "jsonl")
    ]  # fmt: skip
    for entry in lines:
        data = (log.directory / "acme" / entry["name"]).read_bytes()
        assert (entry["size"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert entry["events"] == 3
    ids = [event["id"] for event in log.events()]
    assert [lines[1]["first_event"], lines[3]["last_event"]] == [ids[0], ids[-1]]
    assert [lines[i]["previous_sha256"] for i in range(4)] == [
        None, None, lines[0]["sha256"], lines[1]["sha256"]
    ]  # fmt: skip


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_many_events(
    database: Database, tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one piece of a file, one query of a cut, and one cut of a round."""
    monkeypatch.setattr(spool, "PIECE", 1500)
    monkeypatch.setattr(cutting, "BATCH", 4)
    monkeypatch.setattr(cutting, "EVENTS", 10)
    log = log_of(database, tmp_path / "accounting", compression=compression)
    for _ in range(5):
        log.message("acme", recipients=5)
        log.message("other", recipients=1)
    assert log.round() == 30
    ids = [event["id"] for event in log.events()]
    assert len(ids) == len(set(ids)) == 25
    assert [row["id"] for row in log.rows()] == ids
    assert len(log.files()) == 3
    assert len(log.events("other")) == 5


def test_plans_without_it_have_no_files(log: Log) -> None:
    set_terms(log.database, "other", Terms(features=("webhooks",)))
    log.message("acme")
    log.message("other")
    assert log.round() == 2
    assert (len(log.events()), log.files("other")) == (1, [])
    set_terms(log.database, "other", Terms())
    log.message("other")
    log.round(NINE + 2 * HOUR)
    assert len(log.events("other")) == 1, "from then on"


def test_what_is_too_old_goes(log: Log) -> None:
    set_terms(log.database, "acme", Terms(retention=Retention(accounting=2)))
    for day in range(4):
        log.message("acme")
        log.message("other")
        log.round(NINE + day * 24 * HOUR)
    assert len(log.files("other")) == 4
    assert [path.name[7:15] for path in log.files()] == ["20990106", "20990107", "20990108"]
    lines = log.manifest()[1:]
    assert lines[0]["sequence"] == 2
    assert lines[0]["previous_sha256"] is not None, "what has gone is remembered"
    log.round(NINE + 30 * 24 * HOUR)
    log.round(NINE + 32 * 24 * HOUR)
    assert log.files() == []
    assert [row.sequence for row in log.recorded() if row.account_id == 1] == [4, 4]
    log.message("acme")
    log.round(NINE + 33 * 24 * HOUR)
    assert [line["sequence"] for line in log.manifest()[1:]] == [5, 5]
    assert all(line["previous_sha256"] for line in log.manifest()[1:])


@pytest.mark.parametrize(
    "point", ["accounting.staged", "accounting.committed", "accounting.published"]
)
def test_killed_anywhere(log: Log, point: str) -> None:
    log.message(recipients=3)
    url = log.database.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", ROUND, url, str(log.directory), (NINE + HOUR).isoformat()],
        env={**os.environ, "FAILPOINTS": f"{point}=1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    log.message(recipients=2)
    log.round(NINE + 2 * HOUR)
    assert len(log.events()) == 5
    assert len({event["id"] for event in log.events()}) == 5
    assert [row["id"] for row in log.rows()] == [event["id"] for event in log.events()]
    assert {line["name"] for line in log.manifest()[1:]} == {
        path.name for form in ("jsonl", "csv") for path in log.files(form=form)
    }


def test_two_at_once(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one cuts while this one has written its files and not committed them."""
    log.message(recipients=3)
    other = iter([log.cutter])
    transaction = Database.transaction

    def interrupted(self: Database) -> AbstractContextManager[Session]:
        for cutter in other:
            assert cutter.cut(NINE + HOUR, NINE + HOUR) == 3
        return transaction(self)

    monkeypatch.setattr(Database, "transaction", interrupted)
    assert log.cutter.cut(NINE + HOUR, NINE + HOUR) == 0
    log.round(NINE + 2 * HOUR)
    assert len(log.events()) == 3
    assert len(log.recorded()) == 2


def test_a_lost_file_is_told(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    log.message()
    log.round()
    log.files()[0].unlink()
    log.round(NINE + 2 * HOUR)
    assert "accounting_file_missing" in capsys.readouterr().out
    assert len(log.manifest()) == 3, "a puller is to see that it is missing"


def test_what_was_abandoned_goes(log: Log) -> None:
    log.message()
    log.round()
    staging = log.directory / ".staging"
    (staging / ("0" * 64)).write_text("of a process that was killed before its commit")
    log.round(NINE + 2 * HOUR)
    assert list(staging.iterdir()) == []


def test_others_see_nothing_but_finished_files(log: Log) -> None:
    log.message()
    log.round()
    assert (log.directory / ".staging").stat().st_mode & 0o777 == 0o700
    home = log.directory / "acme"
    assert home.stat().st_mode & 0o777 == 0o755
    assert {path.suffix for path in home.iterdir()} == {".gz", ".jsonl"}
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o644}


def test_json_has_a_line_for_each_event(log: Log) -> None:
    subject = "a\u2028b\x85c ünïcode"
    log.message(subject=subject)
    log.round()
    line, rest = text(log.files()[0]).split("\n")
    assert (json.loads(line)["subject"], rest) == (subject, "")
    assert log.rows()[0]["subject"] == subject
