"""Looks at the DNS of a domain from its page, and what is said of what was found."""

from __future__ import annotations

import html

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.db import Database
from franking.domains import ownership
from franking.domains.models import Domain
from franking.domains.records import expected_records
from franking.settings import Settings
from tests.webpanel.conftest import browser
from tests.webpanel.names import Names, expected
from tests.webpanel.seed import EMAIL, HOSTILE
from webpanel.domains.gate import Gate

NEW = "new.example"


@pytest.fixture
def names(app: Flask) -> Names:
    answers = Names()
    app.extensions["franking.lookup"] = answers
    return answers


def test_a_look_finds_what_is_there(
    mine: FlaskClient, database: Database, names: Names, app: Flask
) -> None:
    mine.post("/domains", data={"name": NEW})
    ownership_record, key, *_ = expected(database, NEW)
    names.publish(ownership_record)
    page = mine.post(f"/domains/{NEW}/check", follow_redirects=True).text
    assert "1 of 2 records that are required are there" in page
    assert "1 of 2 required records found." in page
    assert "DKIM: missing (1 of 2 found)" in html.unescape(mine.get("/domains").text)
    names.publish(key)
    _let_time_pass(app)
    page = mine.post(f"/domains/{NEW}/check", follow_redirects=True).text
    assert "All required records are there." in page
    assert "data-live" not in page
    assert "Mail from it is taken." in page
    with database.session() as session:
        domain = session.scalars(select(Domain).where(Domain.name == NEW)).one()
        assert domain.verified_by == "dns"


def _let_time_pass(app: Flask) -> None:
    app.extensions["franking.dns_gate"] = Gate()


def test_a_look_that_nobody_answers_says_so_and_changes_nothing(
    mine: FlaskClient, names: Names, database: Database
) -> None:
    names.silent = True
    page = mine.post("/domains/example.com/check", follow_redirects=True).text
    assert "The DNS did not answer for" in page
    assert "says nothing about your" in page
    with database.session() as session:
        domain = session.scalars(select(Domain).where(Domain.name == "example.com")).one()
        assert domain.verified_at is not None
        assert domain.failing_since is None


def test_nobody_looks_twice_in_ten_seconds(mine: FlaskClient, names: Names) -> None:
    mine.post("/domains/example.com/check")
    asked = names.asked
    page = mine.post("/domains/example.com/check", follow_redirects=True).text
    assert "The DNS was asked just now" in page
    assert names.asked == asked


def test_a_look_leads_back_to_where_it_was_asked_for(mine: FlaskClient, names: Names) -> None:
    for back, path in (("dkim", "/dkim"), ("dmarc", "/dmarc"), ("//evil.test", ""), ("", "")):
        answer = mine.post("/domains/example.com/check", data={"back": back})
        assert answer.location == f"/domains/example.com{path}"


def test_what_strangers_publish_is_only_text(
    mine: FlaskClient, database: Database, names: Names
) -> None:
    mine.post("/domains", data={"name": NEW})
    ownership_record = expected(database, NEW)[0]
    long = f"{HOSTILE}{'x' * 5000}"
    names.values[ownership_record.name, "TXT"] = (long, *(f"{n}{HOSTILE}" for n in range(40)))
    page = mine.post(f"/domains/{NEW}/check", follow_redirects=True).text
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page
    assert "x" * 400 not in page


def test_an_spf_record_that_is_there_is_merged(
    mine: FlaskClient, app: Flask, settings: Settings, names: Names
) -> None:
    dns = settings.dns.model_copy(update={"spf": "include:spf.relay.example"})
    app.extensions["franking.settings"] = settings.model_copy(update={"dns": dns})
    names.values["example.com", "TXT"] = ("v=spf1 ip4:192.0.2.1 ~all",)
    names.values["spf.relay.example", "TXT"] = ("v=spf1 ip4:198.51.100.0/24 -all",)
    page = mine.post("/domains/example.com/check", follow_redirects=True).text
    assert "your record with ours merged in" in page
    assert ">v=spf1 ip4:192.0.2.1 include:spf.relay.example ~all<" in page


def test_a_name_that_another_account_has_is_explained(
    theirs: FlaskClient, app: Flask, database: Database, names: Names
) -> None:
    theirs.post("/domains", data={"name": "example.com"})
    with database.session() as session:
        domain = session.scalars(
            select(Domain).where(Domain.name == "example.com", Domain.verified_at.is_(None))
        ).one()
        wanted = expected_records(domain, ownership.keys_of(session, domain))
    names.publish(*wanted)
    page = theirs.post("/domains/example.com/check", follow_redirects=True).text
    assert "is verified by another account" in page
    assert ">pending<" in page
    own = browser(app, EMAIL).get("/domains/example.com").text
    assert wanted[0].value not in own
