"""Domains: the list, a new one, its records and its states, removal."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts import credentials
from franking.accounts.credentials import Options
from franking.accounts.models import Account, AuditEntry
from franking.db import Database, utcnow
from franking.domains.models import DkimKey, DnsCheck, Domain
from franking.settings import Settings
from tests import factories
from tests.webpanel.names import expected
from tests.webpanel.seed import EMAIL, HOSTILE, Seed

NEW = "new.example"


def audited(database: Database) -> list[str]:
    with database.session() as session:
        wanted = AuditEntry.action.startswith("domain.")
        rows = session.scalars(select(AuditEntry).where(wanted).order_by(AuditEntry.id)).all()
        assert {row.actor for row in rows} <= {EMAIL}
        return [row.action for row in rows]


def test_a_new_domain_shows_what_to_publish(mine: FlaskClient, database: Database) -> None:
    page = mine.post("/domains", data={"name": "New.Example."}, follow_redirects=True)
    assert page.status_code == 200
    assert "0 of 2 required records found." in page.text
    assert "not looked at yet" in page.text
    assert "data-live" in page.text
    for record in expected(database, NEW):
        for text in (record.name, record.relative_name, record.value, record.why):
            assert html.escape(text, quote=False) in html.unescape(page.text).replace("&", "&amp;")
    assert audited(database) == ["domain.add"]
    assert "Publish 2 records" in mine.get("/domains").text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "Write a domain"),
        ("localhost", "not a full domain name"),
        ("_x.example.com", "not a valid domain name"),
        ("co.uk", "is a public suffix"),
        ("example.com", "was added already"),
        (HOSTILE, "is not a valid domain name"),
        ("a" * 300, "cannot be longer"),
    ],
)
def test_names_that_cannot_be(mine: FlaskClient, database: Database, name: str, said: str) -> None:
    answer = mine.post("/domains", data={"name": name})
    assert answer.status_code == 400
    assert said in answer.text
    assert HOSTILE not in answer.text
    assert audited(database) == []


def test_an_international_name_is_shown_in_both_forms(mine: FlaskClient) -> None:
    answer = mine.post("/domains", data={"name": "Bücher.example"})
    assert answer.location == "/domains/xn--bcher-kva.example"
    for path in ("/domains", answer.location):
        page = mine.get(path).text
        assert "bücher.example" in page
        assert "xn--bcher-kva.example" in page


def test_the_way_of_keys_is_asked_where_there_are_two(
    mine: FlaskClient, app: Flask, settings: Settings, database: Database
) -> None:
    assert "CNAME records" not in mine.get("/domains").text
    mine.post("/domains", data={"name": "plain.example", "method": "cname"})
    zone = settings.dkim.model_copy(update={"zone": "dkim.relay.example"})
    app.extensions["franking.settings"] = settings.model_copy(update={"dkim": zone})
    assert "Two CNAME records" in mine.get("/domains").text
    mine.post("/domains", data={"name": "easy.example", "method": "cname"})
    page = mine.get("/domains/easy.example").text
    for slot in ("frank1._domainkey.easy.example", "frank2._domainkey.easy.example"):
        assert slot in page
    with database.session() as session:
        methods = {row.name: row.dkim_method for row in session.scalars(select(Domain))}
    assert methods["plain.example"] == "txt"
    assert methods["easy.example"] == "cname"


def test_without_a_master_key_it_is_said(
    mine: FlaskClient, app: Flask, settings: Settings, database: Database
) -> None:
    without = settings.model_copy(update={"master_key": settings.master_key.__class__("")})
    app.extensions["franking.settings"] = without
    answer = mine.post("/domains", data={"name": NEW})
    assert answer.status_code == 503
    assert "has no key to encrypt DKIM keys with" in answer.text
    assert audited(database) == []


def test_names_are_short_for_the_zone_that_they_are_in(mine: FlaskClient) -> None:
    mine.post("/domains", data={"name": "news.example.co.uk"})
    page = mine.get("/domains/news.example.co.uk").text
    assert ">_franking.news<" in page  # in example.co.uk
    assert "<code>_franking</code>, where news.example.co.uk is a zone of its own" in page


def test_a_long_value_has_a_split_form(mine: FlaskClient, database: Database) -> None:
    mine.post("/domains", data={"name": NEW})
    key = next(r for r in expected(database, NEW) if r.purpose == "dkim")
    assert len(key.strings) == 2
    assert html.escape(key.quoted) in mine.get(f"/domains/{NEW}").text.replace("&#34;", "&quot;")


def test_the_zone_file_downloads(mine: FlaskClient, database: Database) -> None:
    answer = mine.get("/domains/example.com/zone")
    assert answer.mimetype == "text/plain"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="example.com.zone"'
    for record in expected(database, "example.com"):
        assert record.quoted in answer.text


def test_subdomains_are_switched(mine: FlaskClient, database: Database) -> None:
    page = mine.post("/domains/example.com/subdomains", data={"allow": "y"}, follow_redirects=True)
    assert "every name below example.com is taken" in page.text
    mine.post("/domains/example.com/subdomains", data={"allow": "y"})
    page = mine.post("/domains/example.com/subdomains", follow_redirects=True)
    assert "Only mail from example.com itself" in page.text
    assert audited(database) == ["domain.subdomains"] * 2


def test_removal_wants_the_name_and_leaves_no_key(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with database.transaction() as session:
        account = session.get_one(Account, seed.account_id)
        only = Options(sending_domains=("example.com",))
        credentials.create(session, account, "narrow", prefix=factories.PREFIX, options=only)
    assert "narrow" in mine.get("/domains/example.com").text
    for typed in ("", "example.org", "example"):
        answer = mine.post("/domains/example.com/remove", data={"typed": typed})
        assert answer.status_code == 400
        assert "Write example.com to confirm." in answer.text
    page = mine.post(
        "/domains/example.com/remove", data={"typed": " Example.com "}, follow_redirects=True
    )
    assert "example.com is removed" in page.text
    assert mine.get("/domains/example.com").status_code == 404
    assert audited(database) == ["domain.remove"]
    with database.session() as session:
        assert session.scalars(select(DkimKey.id)).all() == []


def test_states_are_said_with_what_follows(mine: FlaskClient, database: Database) -> None:
    now = utcnow()
    with database.transaction() as session:
        domain = session.scalars(select(Domain).where(Domain.name == "example.com")).one()
        domain.verified_by, domain.failing_since = "dns", now - timedelta(days=1)
    page = mine.get("/domains/example.com").text
    assert "still taken" in page
    assert f"{now + timedelta(days=6):%-d %B %Y}" in page  # 3 days, and 4 of grace
    with database.transaction() as session:
        domain = session.scalars(select(Domain).where(Domain.name == "example.com")).one()
        domain.suspended_at = now
    assert (
        "Mail from it is refused: what is required was wrong"
        in mine.get("/domains/example.com").text
    )
    assert ">suspended<" in mine.get("/domains").text


def test_many_domains_come_in_pages(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with database.transaction() as session:
        for number in range(55):
            session.add(
                Domain(
                    account_id=seed.account_id,
                    name=f"d{number:02d}.example",
                    ownership_token=f"t{number}",
                )
            )
    first = mine.get("/domains").text
    assert "d49.example" in first
    assert "d50.example" not in first
    rest = mine.get("/domains?after=d49.example").text
    assert "d49.example" not in rest
    assert "d54.example" in rest
    assert "example.com" in rest  # sorts behind them


def test_rows_of_checks_that_are_over_are_not_shown(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with database.transaction() as session:
        session.add(
            DnsCheck(
                domain_id=seed.domain_id, purpose="dkim", name="old._domainkey.example.com",
                status="wrong", advice="never mind",
            )
        )  # fmt: skip
    assert "never mind" not in mine.get("/domains/example.com").text


def test_hosts_are_named_where_the_relay_has_any(
    mine: FlaskClient, app: Flask, settings: Settings, database: Database
) -> None:
    assert 'id="hosts"' not in mine.get("/domains/example.com").text
    bounces = settings.bounces.model_copy(update={"domain": "b.relay.example"})
    app.extensions["franking.settings"] = settings.model_copy(update={"bounces": bounces})
    assert 'value="bounce"' in mine.get("/domains/example.com").text
    refused = mine.post("/domains/example.com/hosts", data={"return_path": "a b"})
    assert refused.status_code == 400 and "is no host" in refused.text
    page = mine.post(
        "/domains/example.com/hosts",
        data={"return_path": "mail", "tracking": "never-asked"},
        follow_redirects=True,
    ).text
    assert "mail.example.com" in page and "b.relay.example" in page
    with database.session() as session:
        domain = session.scalars(select(Domain).where(Domain.name == "example.com")).first()
        assert domain is not None
        assert (domain.return_path_host, domain.tracking_host) == ("mail", None)
    assert audited(database) == ["domain.hosts"]
