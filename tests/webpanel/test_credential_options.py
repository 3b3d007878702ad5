"""What a credential is restricted to, in the forms that create and change it."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts import credentials
from franking.accounts.credentials import Options
from franking.accounts.models import Account, AuditEntry, Credential
from franking.accounts.rules import Narrowing, Rules, parse_window, stored
from franking.db import Database
from tests.webpanel.seed import EMAIL, Seed

ALL = {
    "expires_on": "2199-01-31",
    "stream": "office",
    "source_networks": "192.0.2.7\r\n2001:db8::/32, 198.51.100.0/24\r\n",
    "sending_domains": ["example.com"],
    "allow_plaintext": "y",
    "per_minute": "10",
    "per_hour": "100",
    "per_day": "500",
    "max_recipients": "5",
    "max_connections": "2",
    "max_messages_per_connection": "20",
    "daily_spend": "2.50",
}
MEANT = Options(
    stream="office",
    expires_at=datetime(2199, 1, 31, tzinfo=UTC),
    source_networks=("192.0.2.7/32", "2001:db8::/32", "198.51.100.0/24"),
    sending_domains=("example.com",),
    allow_plaintext=True,
    rules=Narrowing(
        daily_quota=500,
        max_recipients=5,
        max_connections=2,
        max_messages_per_connection=20,
        daily_spend=2_500_000,
        windows=(parse_window("10/minute by credential"), parse_window("100/hour by credential")),
    ),
)


def _options(database: Database, **which: Any) -> Options:
    with database.session() as session:
        row = session.scalars(select(Credential).filter_by(**which)).one()
        return credentials.options_of(row)


def _plan(database: Database, seed: Seed, rules: Rules) -> None:
    with database.transaction() as session:
        session.get_one(Account, seed.account_id).plan.rules = stored(rules)


def _trouble(page: str, field: str) -> str:
    """What is said about this field."""
    found = re.search(rf'id="{field}-error">([^<]*)<', page)
    return html.unescape(found[1]) if found else ""


def test_all_of_them(mine: FlaskClient, database: Database) -> None:
    assert mine.post("/credentials", data={"name": "a", "mode": "test", **ALL}).status_code == 201
    assert _options(database, name="a") == MEANT
    with database.session() as session:
        assert session.scalars(select(Credential).filter_by(name="a")).one().mode == "test"
        entry = session.scalars(select(AuditEntry)).one()
        assert entry.detail["mode"] == "test"
        assert entry.detail["source_networks"] == list(MEANT.source_networks)
        assert entry.detail["rules"]["windows"][0] == "10/minute messages by credential defer"


def test_none_of_them(mine: FlaskClient, database: Database) -> None:
    empty = dict.fromkeys(ALL, "") | {"stream": "default", "sending_domains": []}
    del empty["allow_plaintext"]  # a browser sends no box that is not ticked
    assert mine.post("/credentials", data={"name": "a", "mode": "live", **empty}).status_code == 201
    assert _options(database, name="a") == Options()


@pytest.fixture
def limited(mine: FlaskClient, seed: Seed, database: Database) -> FlaskClient:
    """A customer whose plan has limits."""
    plan = Rules(
        daily_quota=1000,
        max_recipients=10,
        max_connections=3,
        max_messages_per_connection=5,
        daily_spend=3_000_000,
        windows=(parse_window("60/minute"),),
    )
    _plan(database, seed, plan)
    return mine


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"mode": "free"}, None, "Not a valid choice"),
        ({"expires_on": "2001-01-01"}, "expires_on", "not in the future"),
        ({"expires_on": "tomorrow"}, "expires_on", "Not a valid date"),
        ({"daily_spend": "3.01"}, "daily_spend", "3.01 is more than the plan's 3.00"),
        ({"daily_spend": "-1"}, "daily_spend", "not below zero"),
        ({"daily_spend": "much"}, "daily_spend", "an amount such as 12.50"),
        ({"stream": "No Stream"}, "stream", "lower-case letters"),
        ({"source_networks": "192.0.2.1/24\nhello"}, "source_networks", "write 192.0.2.0/24"),
        ({"source_networks": "192.0.2.1/24\nhello"}, "source_networks", "'hello' is no network"),
        ({"allow_plaintext": "y"}, "source_networks", "needs a list of source networks"),
        ({"sending_domains": ["foreign.example"]}, "sending_domains", "not a valid choice"),
        ({"per_minute": "many"}, "per_minute", "Write a whole number."),
        ({"per_hour": "0"}, "per_hour", "from 1 to 1,000,000,000"),
        ({"per_day": str(1 << 70)}, "per_day", "from 1 to 1,000,000,000"),
        ({"per_minute": "61"}, "per_minute", "more than the plan's 60/minute"),
        ({"per_day": "1001"}, "per_day", "1001 is more than the plan's 1000"),
        ({"max_recipients": "11"}, "max_recipients", "11 is more than the plan's 10"),
        ({"max_connections": "4"}, "max_connections", "4 is more than the plan's 3"),
        ({"max_messages_per_connection": "6"}, "max_messages_per_connection", "plan's 5"),
    ],
)
def test_what_is_wrong_is_said_beside_it(
    limited: FlaskClient, database: Database, wrong: dict[str, Any], field: str | None, said: str
) -> None:
    data = {"name": "kept as typed", "mode": "live", "stream": "default", **wrong}
    answer = limited.post("/credentials", data=data)
    assert answer.status_code == 400
    assert said in (_trouble(answer.text, field) if field else answer.text)
    assert 'value="kept as typed"' in answer.text
    for value in wrong.values():
        if isinstance(value, str) and value not in ("y", "free"):
            assert html.escape(value.split("\n")[-1]) in answer.text
    if field:
        assert re.search(r"<details[^>]* open>", answer.text)
    with database.session() as session:
        assert session.query(Credential).filter_by(name="kept as typed").count() == 0


def test_changing(mine: FlaskClient, seed: Seed, database: Database) -> None:
    username = seed.credential.credential.username
    answer = mine.post(f"/credentials/{username}", data=ALL)
    assert answer.location == f"/credentials/{username}"
    assert _options(database, username=username) == MEANT
    page = mine.get(answer.location).text
    assert 'value="2199-01-31"' in page
    assert "198.51.100.0/24" in page
    assert re.search(r'<input[^>]*checked[^>]*name="sending_domains"', page)
    with database.session() as session:
        entry = session.scalars(select(AuditEntry)).one()
        assert (entry.actor, entry.action) == (EMAIL, "credential.set")
        assert entry.detail["before"]["stream"] == "default"
        assert entry.detail["after"]["stream"] == "office"


def test_a_change_that_is_refused_changes_nothing(
    mine: FlaskClient, seed: Seed, database: Database
) -> None:
    username = seed.credential.credential.username
    answer = mine.post(f"/credentials/{username}", data=ALL | {"stream": "No Stream"})
    assert answer.status_code == 400
    assert "lower-case letters" in _trouble(answer.text, "stream")
    assert 'value="No Stream"' in answer.text
    assert _options(database, username=username) == Options()


def test_what_no_field_shows_stays_and_is_named(
    mine: FlaskClient, seed: Seed, database: Database
) -> None:
    username = seed.credential.credential.username
    windows = ("5/second recipients", "10/minute by credential reject", "9/minute by address")
    before = Options(
        expires_at=datetime(2199, 1, 31, 18, 30, tzinfo=UTC),
        rules=Narrowing(
            subject_required=True,
            attachments_denied=("exe",),
            windows=tuple(parse_window(text) for text in windows),
        ),
    )
    with database.transaction() as session:
        account = session.get_one(Account, seed.account_id)
        credentials.change(session, account, username, before)
    page = html.unescape(mine.get(f"/credentials/{username}").text)
    for named in ("5/second recipients", "9/minute messages by address", "attachments denied"):
        assert named in page
    assert "10/minute messages" not in page, "that one has its field"
    data = {"expires_on": "2199-01-31", "stream": "default", "per_minute": "7"}
    assert mine.post(f"/credentials/{username}", data=data).status_code == 302
    changed = (windows[0], "7/minute by credential reject", windows[2])
    rules = before.rules.model_copy(update={"windows": tuple(map(parse_window, changed))})
    assert _options(database, username=username) == replace(before, rules=rules)

    _plan(database, seed, Rules(windows=(parse_window("1/second recipients"),)))
    answer = mine.post(f"/credentials/{username}", data=data)
    assert answer.status_code == 400
    assert "is more than the plan" in html.unescape(answer.text), "though no field shows it"


def test_a_domain_that_is_gone_can_be_unticked(
    mine: FlaskClient, seed: Seed, database: Database
) -> None:
    username = seed.credential.credential.username
    with database.transaction() as session:
        row = session.scalars(select(Credential).filter_by(username=username)).one()
        row.sending_domains = ["gone.example"]
    assert "gone.example (no longer in your account)" in mine.get(f"/credentials/{username}").text
    data = {"stream": "default", "sending_domains": ["gone.example"]}
    answer = mine.post(f"/credentials/{username}", data=data)
    assert "not among the domains" in _trouble(answer.text, "sending_domains")
    assert mine.post(f"/credentials/{username}", data={"stream": "default"}).status_code == 302
    assert _options(database, username=username).sending_domains == ()
