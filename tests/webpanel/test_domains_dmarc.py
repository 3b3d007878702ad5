"""DMARC: the ladder, the next step with its numbers, sources with verdicts, the chart."""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import AuditEntry
from franking.db import Database, utcnow
from franking.domains.dmarc import stages, store
from franking.domains.dmarc.models import DmarcSource
from franking.domains.dmarc.reports import Auth, Report, Row
from franking.domains.dmarc.sources import RELAY
from franking.domains.dmarc.summary import Day
from franking.domains.models import DnsCheck, Domain
from franking.domains.ownership import keys_of
from franking.domains.records import expected_records
from franking.notices import notices
from franking.settings import Settings
from tests.webpanel.seed import HOSTILE, Seed
from webpanel.domains.dmarc import chart

PAGE = "/domains/example.com/dmarc"
TODAY = utcnow().replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def _reports_come_here(app: Flask, settings: Settings, database: Database, seed: Seed) -> None:
    dmarc = settings.dmarc.model_copy(update={"reports": "rua.relay.example"})
    app.extensions["franking.settings"] = settings.model_copy(update={"dmarc": dmarc})
    with database.transaction() as session:
        session.get_one(Domain, seed.domain_id).dmarc_token = "t0ken"


def reported(
    session: Session, seed: Seed, days_ago: int, *rows: Row, org: str = "inbox.example"
) -> None:
    domain = session.get_one(Domain, seed.domain_id)
    begin = TODAY - timedelta(days=days_ago)
    report = Report(
        org, f"r{days_ago}", begin, begin + timedelta(days=1, seconds=-1), "example.com", {}, rows
    )
    own = store.Own("example.com", senders=("bounce.example.com",))
    assert store.store(session, domain, report, own, utcnow())


def ours(messages: int, *, aligned: bool = True) -> Row:
    spf = (Auth("bounce.example.com", "pass"),)
    return Row("192.0.2.1", messages, "none", aligned, False, "example.com", spf=spf)


def stranger(messages: int) -> Row:
    return Row("198.51.100.9", messages, "none", False, False, "example.com")


def published_since(session: Session, seed: Seed, days: int, policy: str = "none") -> None:
    domain = session.get_one(Domain, seed.domain_id)
    stages.observe(session, domain, f"v=DMARC1; p={policy}", utcnow() - timedelta(days=days))


def test_before_there_is_a_record(mine: FlaskClient) -> None:
    page = mine.get(PAGE).text
    assert "Begin with p=none" in page
    assert "v=DMARC1; p=none; rua=mailto:t0ken@rua.relay.example" in page
    assert "No reports yet" in page
    assert ">now<" not in page


def test_a_step_that_is_too_early_says_why(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with database.transaction() as session:
        published_since(session, seed, 10)
        reported(session, seed, 2, ours(90), ours(10, aligned=False), stranger(400))
    page = html.unescape(mine.get(PAGE).text)
    assert "p=quarantine: not yet" in page
    assert "has been published for 10 days of 30" in page
    assert "90.0 % of your mail was aligned, 10 of 100 messages were not" in page
    assert "messages of yours were aligned" not in page  # once is enough
    assert "p=quarantine;" not in page  # no record to copy


def test_a_large_network_is_asked_about(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with database.transaction() as session:
        published_since(session, seed, 40)
        for days in range(1, 10):
            reported(session, seed, days, ours(1000), stranger(2000))
    page = html.unescape(mine.get(PAGE).text)
    assert (
        "18,000 messages came from unknown 198.51.100.0/24, and 18,000 of them failed:"
        " say whether they are yours."
    ) in page
    assert "yours?</span>" in page
    assert 'href="#sources"' in page
    said = {"source": "unknown 198.51.100.0/24", "verdict": "foreign"}
    mine.post(f"{PAGE}/source", data=said)
    page = mine.get(PAGE).text
    assert "p=quarantine can come" in page
    assert "yours?</span>" not in page


def test_days_beyond_the_limits_are_shown_as_what_counts(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with database.transaction() as session:
        published_since(session, seed, 10)
        session.get_one(Domain, seed.domain_id).dmarc_days = 7
    page = html.unescape(mine.get(PAGE).text)
    assert "has been published for 10 days of 15" in page
    assert 'value="15"' in page


def test_a_step_that_is_offered_has_the_exact_record(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with database.transaction() as session:
        published_since(session, seed, 40)
        for days in range(1, 10):
            reported(session, seed, days, ours(1000), stranger(7))
    page = html.unescape(mine.get(PAGE).text)
    assert "p=quarantine can come" in page
    assert "100.0 % of 9,000 messages of yours were aligned" in page
    assert ">v=DMARC1; p=quarantine; rua=mailto:t0ken@rua.relay.example<" in page


def test_at_the_end_only_the_way_back_is_left(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with database.transaction() as session:
        published_since(session, seed, 40, "reject")
    page = mine.get(PAGE).text
    assert "All steps are done" in page
    assert "Back to the milder policy" in page
    assert "v=DMARC1; p=quarantine" in page


def test_sources_with_what_the_customer_says_of_them(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with database.transaction() as session:
        published_since(session, seed, 10)
        reported(session, seed, 2, ours(90), stranger(400))
    page = mine.get(PAGE).text
    assert RELAY in page
    assert "unknown 198.51.100.0/24" in page
    assert "yes: sent through us" in page
    source = "unknown 198.51.100.0/24"
    for verdict in ("mine", "foreign", ""):
        answer = mine.post(
            f"{PAGE}/source", data={"source": source, "verdict": verdict}, follow_redirects=True
        )
        assert answer.status_code == 200
        with database.session() as session:
            row = session.get_one(DmarcSource, (seed.domain_id, source))
            assert row.verdict == (verdict or None)
    with database.session() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [entry.action for entry in entries] == ["domain.dmarc_source"] * 3
    assert entries[0].detail == {"domain": "example.com", "source": source, "verdict": "mine"}


def test_verdicts_that_cannot_be(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with database.transaction() as session:
        reported(session, seed, 2, ours(90), stranger(400))
    for source, verdict, status in (
        ("nobody", "mine", 404),
        ("", "mine", 404),
        ("a\nb", "mine", 404),
        ("x" * 500, "mine", 404),
        ("unknown 198.51.100.0/24", "perhaps", 404),
        (RELAY, "foreign", 400),
    ):
        answer = mine.post(f"{PAGE}/source", data={"source": source, "verdict": verdict})
        assert answer.status_code == status, source


def test_the_days_of_a_stage(mine: FlaskClient, database: Database, seed: Seed) -> None:
    for days in ("", "x", "14", "46", "-1"):
        answer = mine.post(f"{PAGE}/days", data={"days": days})
        assert answer.status_code == 400
        assert "invalid-feedback" in answer.text
    assert mine.post(f"{PAGE}/days", data={"days": "20"}).status_code == 302
    mine.post(f"{PAGE}/days", data={"days": "20"})
    with database.session() as session:
        assert session.get_one(Domain, seed.domain_id).dmarc_days == 20
        assert session.scalars(select(AuditEntry.action)).all() == ["domain.dmarc_days"]


def test_what_reporters_write_is_only_text(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with database.transaction() as session:
        reported(session, seed, 2, stranger(3), org=HOSTILE)
        session.add(DmarcSource(domain_id=seed.domain_id, source=HOSTILE))
    assert HOSTILE not in mine.get(PAGE).text


def test_a_chart_has_every_day_and_shows_the_smallest_share() -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC).date()
    days = [Day(first + timedelta(days=1), 990, 9, 1)]
    drawn = chart(days, first, first + timedelta(days=3))
    assert drawn is not None
    assert [bar.figures.own for bar in drawn.bars] == [0, 999, 0, 0]
    assert drawn.scale[-1] == (1000, 1000)
    assert drawn.bars[1].heights == (990, 9, 8)
    assert (drawn.aligned, drawn.failed, drawn.others) == (990, 9, 1)
    assert chart([], first, first) is None


def test_the_list_says_that_a_step_can_come(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with database.transaction() as session:
        published_since(session, seed, 40)
        domain = session.get_one(Domain, seed.domain_id)
        for record in expected_records(domain, keys_of(session, domain)):
            values = {"purpose": record.purpose, "name": record.name, "status": "verified"}
            session.add(DnsCheck(domain_id=domain.id, **values))
        for name, policy, days in (
            ("example.com", "quarantine", 90),  # of an earlier time
            ("example.com", "reject", 1),
            ("other.example", "quarantine", 1),
        ):
            at = utcnow() - timedelta(days=days)
            detail = {"domain": name, "policy": policy}
            notices.give(session, domain.account_id, stages.READY, detail, at)
    assert "nothing to do" in mine.get("/domains").text
    with database.transaction() as session:
        detail = {"domain": "example.com", "policy": "quarantine"}
        notices.give(session, seed.account_id, stages.READY, detail, utcnow())
    assert "DMARC: p=quarantine can come" in mine.get("/domains").text
    assert f'href="{PAGE}">Show the domain</a>' in mine.get("/billing/notices").text
