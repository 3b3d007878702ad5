"""What one account exports another one imports; twice changes nothing, and no cell is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.mail import suppression_pages, suppressions
from franking.mail.config import Suppressions
from franking.mail.models import Event
from franking.mail.suppression_files import exporting, importing
from franking.mail.suppression_files.importing import Result, Wanted
from franking.mail.suppression_pages import Filter, Listed
from franking.reasons import Invalid
from tests import factories

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
ALL = Filter()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as open_now:
        yield open_now


def exported(session: Session, owner: Account) -> str:
    def page(before: int | None, limit: int) -> Sequence[Listed]:
        return suppression_pages.search(session, owner, ALL, NOW, before=before, limit=limit)

    return "".join(exporting.lines(page))


def imported(session: Session, owner: Account, text: str) -> Result:
    def store(rows: Sequence[Mapping[str, Any]]) -> int:
        return suppressions.put(session, rows, NOW)

    wanted = Wanted(owner.id, Suppressions(), NOW)
    return importing.take(io.BytesIO(text.encode()), wanted, store=store)


def test_a_list_moves_to_another_account(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", 2)
    ours, theirs = factories.account(session), factories.account(session)
    event = Event(account_id=ours.id, node="n1", queue_id="4bCdEf", kind="bounced", detail={})
    session.add(event)
    session.flush()
    until = NOW + timedelta(days=9)
    suppressions.add(session, ours, "=cmd@x.yz", note="+1-555", now=NOW)
    suppressions.add(session, ours, "'quoted@x.yz", note='two\nlines, and a "quote"', now=NOW)
    suppressions.add(session, ours, "jörg@bücher.example", scope="stream", scope_name="n", now=NOW)
    suppressions.add(session, ours, "a@x.yz", reason="complaint", expires_at=until, now=NOW)
    bounced = suppressions.add(session, ours, "b@x.yz", reason="hard_bounce", now=NOW)
    bounced.event_id = event.id
    session.flush()

    text = exported(session, ours)
    cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert "b@x.yz,account,hard_bounce,2036-11-21T12:00:00+00:00,,,4bCdEf" in text

    first, again = imported(session, theirs, text), imported(session, theirs, text)
    assert (first.entries, first.changed, first.faults) == (5, 5, [])
    assert (again.entries, again.changed) == (5, 0)
    without_cause = exported(session, theirs).replace("two lines", "two\nlines")
    assert sorted(csv.reader(io.StringIO(without_cause))) == sorted(
        csv.reader(io.StringIO(text.replace("4bCdEf", "")))
    )


def test_nothing_on_the_list_gets_weaker(session: Session) -> None:
    owner = factories.account(session)
    soon, late = NOW + timedelta(days=1), NOW + timedelta(days=99)
    suppressions.add(session, owner, "a@x.yz", note="by hand", now=NOW)
    suppressions.add(session, owner, "b@x.yz", reason="complaint", expires_at=late, now=NOW)
    suppressions.add(session, owner, "c@x.yz", reason="complaint", expires_at=soon, now=NOW)
    text = "address,scope,reason,expires_at\n" + "".join(
        f"{name}@x.yz,account,hard_bounce,{(NOW + timedelta(days=5)).isoformat()}\n"
        for name in "abc"
    )
    assert imported(session, owner, text).changed == 1
    session.expire_all()
    found = {
        listed.entry.address[0]: (listed.entry.reason, listed.entry.expires_at)
        for listed in suppression_pages.search(session, owner, ALL, NOW)
    }
    assert found == {
        "a": ("manual", None),
        "b": ("complaint", late),
        "c": ("hard_bounce", NOW + timedelta(days=5)),
    }


text_cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(text_cells)
def test_no_note_is_a_formula_and_each_comes_back(note: str) -> None:
    entry = SimpleNamespace(
        id=1, address="a@x.yz", scope="account", scope_name="", reason="manual",
        created_at=NOW, expires_at=None, note=note,
    )  # fmt: skip
    pages = iter([[SimpleNamespace(entry=entry, event=None)], []])
    text = "".join(exporting.lines(lambda _before, _limit: next(pages)))  # type: ignore[arg-type]
    (line,) = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert not line[5].startswith(("=", "+", "-", "@", "\t", "\r"))
    rows: list[Any] = []

    def store(batch: Sequence[Mapping[str, Any]]) -> int:
        rows.extend(batch)
        return 0

    importing.take(io.BytesIO(text.encode()), Wanted(1, Suppressions(), NOW), store=store)
    assert [row["note"] for row in rows] == [importing.printable(note)]


@given(st.binary(max_size=300), st.sampled_from([b"", b"email\n", b"address,scope,reason\n", b"["]))
def test_no_file_breaks_it(data: bytes, start: bytes) -> None:
    wanted = Wanted(1, Suppressions(), NOW)
    try:
        result = importing.take(io.BytesIO(start + data), wanted, store=len)
    except Invalid:
        return
    assert result.changed == result.entries
