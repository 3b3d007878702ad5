"""Suppressions in the panel: looked through, added to, taken from, and as files."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from franking.accounts.models import Account, AuditEntry
from franking.db import Database
from franking.mail import suppressions
from franking.mail.models import Event, Suppression
from tests.webpanel.conftest import browser
from tests.webpanel.seed import EMAIL, HOSTILE, OTHER_EMAIL, QUEUE_ID, Seed
from webpanel.suppressions.files import LONGEST_FILE

LIST = "/suppressions"
CHOICE = r'type="checkbox" name="id" value="\d+"><span class="form-check-label">(\w+)@'


@pytest.fixture
def listed(database: Database, seed: Seed) -> dict[str, int]:
    """Entries of the seeded account, by their local part."""
    with database.transaction() as session:
        account = session.get_one(Account, seed.account_id)
        bounced = suppressions.add(session, account, "bert@example.org", reason="hard_bounce")
        bounce = select(Event.id).where(Event.queue_id == QUEUE_ID, Event.kind == "bounced")
        bounced.event_id = session.scalars(bounce).one()
        spam = suppressions.add(
            session, account, "carla@example.org",
            reason="complaint", scope="stream", scope_name="news", note=HOSTILE,
        )  # fmt: skip
        return {"bert": bounced.id, "carla": spam.id}


def there(database: Database) -> dict[str, Suppression]:
    with database.session() as session:
        return {row.address: row for row in session.scalars(select(Suppression))}


def audited(database: Database) -> list[tuple[str, str, Any]]:
    with database.session() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        return [
            (row.actor, row.action, row.detail)
            for row in rows
            if row.action.startswith("suppression.")
        ]


@pytest.mark.usefixtures("listed")
def test_an_entry_says_why_and_leads_to_its_message(mine: FlaskClient) -> None:
    page = mine.get(LIST).text
    assert "bert@example.org" in page and "Hard bounce" in page
    assert f'href="/messages/{QUEUE_ID}"' in page
    assert "550 5.1.1 user unknown" in page
    assert "stream news" in page
    assert HOSTILE not in page


@pytest.mark.usefixtures("seed")
def test_nothing_to_see_yet(mine: FlaskClient) -> None:
    assert "No suppressed addresses" in mine.get(LIST).text


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=bert", ["bert"]),
        ("q=EXAMPLE.org", ["carla", "bert"]),
        ("q=nobody", []),
        ("reason=complaint", ["carla"]),
        ("scope=account", ["bert"]),
        ("reason=nonsense", ["carla", "bert"]),
        ("before=nonsense", ["carla", "bert"]),
        ("before=99999999999999999999", ["carla", "bert"]),
        ("q=" + "x" * 400, ["carla", "bert"]),
    ],
)
def test_filters(mine: FlaskClient, query: str, found: list[str]) -> None:
    answer = mine.get(f"{LIST}?{query}")
    assert answer.status_code == 200
    assert re.findall(CHOICE, answer.text) == found
    if not found:
        assert "Nothing found" in answer.text


def test_pages(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with database.transaction() as session:
        account = session.get_one(Account, seed.account_id)
        for number in range(120):
            suppressions.add(session, account, f"a{number}@example.org")
    seen: list[str] = []
    path: str | None = f"{LIST}?q=example.org"
    while path:
        page = mine.get(path).text
        seen += re.findall(CHOICE, page)
        more = re.search(r'href="([^"]+)" rel="next"', page)
        path = more[1].replace("&amp;", "&") if more else None
    assert seen == [f"a{number}" for number in reversed(range(120))]


def test_adding_one(mine: FlaskClient, database: Database, seed: Seed) -> None:
    data = {
        "address": " Anna@Bücher.example ", "days": "30", "scope": "stream", "scope_name": "News",
        "note": "asked by phone",
    }  # fmt: skip
    page = mine.post(LIST, data=data, follow_redirects=True).text
    assert "anna@xn--bcher-kva.example is suppressed." in page
    (row,) = there(database).values()
    assert (row.scope, row.scope_name, row.reason) == ("stream", "news", "manual")
    assert row.expires_at is not None and (row.expires_at - row.created_at).days == 30
    assert (row.account_id, row.note) == (seed.account_id, "asked by phone")
    assert audited(database)[0][:2] == (EMAIL, "suppression.add")
    again = mine.post(LIST, data=data)
    assert again.status_code == 400
    assert "is suppressed there already." in again.text


@pytest.mark.usefixtures("seed")
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"address": ""}, "Write an address"),
        ({"address": "nobody"}, "it is not of the form name@domain"),
        ({"address": HOSTILE}, "it is not of the form name@domain"),
        ({"scope": "stream"}, "Say which stream"),
        ({"scope": "domain", "scope_name": "no domain"}, "is not a valid domain name"),
        ({"scope": "world"}, "Not a valid choice"),
        ({"days": "1e9"}, "Not a valid choice"),
    ],
)
def test_what_cannot_be_added(
    mine: FlaskClient, database: Database, wrong: dict[str, str], said: str
) -> None:
    right = {"address": "a@x.yz", "days": "0", "scope": "account"}
    answer = mine.post(LIST, data=right | wrong)
    assert answer.status_code == 400
    assert said in answer.text
    assert HOSTILE not in answer.text
    assert there(database) == {}


def test_removal_asks_first_and_is_audited(
    mine: FlaskClient, database: Database, listed: dict[str, int]
) -> None:
    asked = mine.post(f"{LIST}/remove", data={"id": [*listed.values()]}).text
    assert "Mail to addresses that do not exist" in asked
    assert "another complaint harms" in asked
    assert len(there(database)) == 2
    sure = {"id": [*listed.values()], "sure": "yes"}
    answer = mine.post(f"{LIST}/remove", data=sure, follow_redirects=True)
    assert "2 entries are removed." in answer.text
    assert there(database) == {}
    first, second = audited(database)
    assert first[:2] == (EMAIL, "suppression.remove")
    assert first[2]["address"] == "bert@example.org" and first[2]["event_id"] is not None
    assert second[2]["scope"] == "stream:news"


@pytest.mark.parametrize("numbers", [[], ["nonsense"], ["0"], ["99999999999999999999"]])
def test_nothing_chosen(
    mine: FlaskClient, listed: dict[str, int], database: Database, numbers: list[str]
) -> None:
    data = {"id": numbers, "sure": "yes"}
    page = mine.post(f"{LIST}/remove", data=data, follow_redirects=True).text
    assert "Choose the addresses" in page
    assert len(there(database)) == len(listed)


def test_anothers_entries_are_out_of_reach(
    app: Flask, database: Database, listed: dict[str, int]
) -> None:
    theirs = browser(app, OTHER_EMAIL)
    assert "example.org" not in theirs.get(LIST).text
    assert "example.org" not in theirs.get(f"{LIST}/export").text
    numbers = {"id": [*listed.values()]}
    assert "example.org" not in theirs.post(f"{LIST}/remove", data=numbers).text
    theirs.post(f"{LIST}/remove", data={**numbers, "sure": "yes"})
    assert len(there(database)) == 2


def upload(client: FlaskClient, text: str | bytes, **more: str) -> TestResponse:
    """Written out here: the test client leaves the file open that it puts a large form in."""
    data = text.encode() if isinstance(text, str) else text
    field = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    form = b"".join(
        f"{field.format(name, '')}{value}\r\n".encode()
        for name, value in {"scope": "account", **more}.items()
    )
    file = field.format("file", '; filename="list.csv"').encode() + data + b"\r\n--x--\r\n"
    kind = "multipart/form-data; boundary=x"
    return client.post(f"{LIST}/import", data=form + file, content_type=kind)


SES = "EmailAddress,Reason,LastUpdateTime\na@x.yz,BOUNCE,\nb@x.yz,COMPLAINT,\nnobody,BOUNCE,\n"


def test_a_file_is_looked_at_first_and_then_imported(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    looked = upload(mine, SES, check="y").text
    assert "2 of 3 lines can be imported" in looked
    assert "Amazon SES" in looked
    assert "it is not of the form name@domain" in looked
    assert there(database) == {} and audited(database) == []
    taken = upload(mine, SES, scope="stream", scope_name="news").text
    assert "2 of 2 entries are new" in taken
    rows = there(database)
    assert {row.account_id for row in rows.values()} == {seed.account_id}
    assert (rows["a@x.yz"].scope, rows["b@x.yz"].scope_name) == ("account", "news")
    assert "0 of 2 entries are new" in upload(mine, SES, scope="stream", scope_name="news").text
    assert audited(database)[0][1:] == (
        "suppression.import", {"format": "Amazon SES", "entries": 2, "changed": 2},
    )  # fmt: skip


@pytest.mark.usefixtures("seed")
@pytest.mark.parametrize(
    ("text", "fields", "said"),
    [
        ("", {}, "The file is empty."),
        ("some,thing,else\n1,2,3\n", {}, "No known list has these columns"),
        (HOSTILE + "\n", {}, "No known list has these columns"),
        (SES, {"scope": "stream"}, "Say which stream"),
        (f"email\n{HOSTILE}\n", {}, "it is not of the form name@domain"),
    ],
)
def test_files_that_cannot_be_used(
    mine: FlaskClient, text: str, fields: dict[str, str], said: str
) -> None:
    page = upload(mine, text, **fields).text
    assert said in page
    assert HOSTILE not in page


@pytest.mark.usefixtures("seed")
def test_no_file(mine: FlaskClient) -> None:
    assert "Choose a file." in mine.post(f"{LIST}/import", data={"scope": "account"}).text
    assert "Choose a file" in mine.get(f"{LIST}/import").text


def test_large_files(mine: FlaskClient, nobody: FlaskClient, database: Database) -> None:
    two = b"email\n" + b"x" * (2 << 20)  # more than any other page takes
    assert "it cannot be read: field larger" in upload(mine, two, check="y").text
    assert upload(mine, b"x" * (LONGEST_FILE + 1)).status_code == 413
    assert mine.post(LIST, data={"note": "x" * (2 << 20)}).status_code == 413
    assert upload(nobody, two).status_code in (302, 413)
    assert there(database) == {}


def test_export(mine: FlaskClient, listed: dict[str, int], monkeypatch: Any) -> None:
    monkeypatch.setattr("franking.mail.suppression_files.exporting.PAGE", 1)
    answer = mine.get(f"{LIST}/export")
    assert answer.mimetype == "text/csv"
    assert re.search(r'filename="suppressions-[\d-]+\.csv"', answer.headers["Content-Disposition"])
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["address"], row["scope"], row["message_id"]) for row in rows] == [
        ("carla@example.org", "stream:news", ""), ("bert@example.org", "account", QUEUE_ID),
    ]  # fmt: skip
    assert len(rows) == len(listed)
    only = mine.get(f"{LIST}/export?reason=complaint").text
    assert "carla" in only and "bert" not in only
