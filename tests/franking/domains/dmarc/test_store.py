"""Reports are kept once and within limits, and add up to who sends in a domain's name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from franking.accounts.models import Account
from franking.db import Database
from franking.domains.dmarc import newcomers, sources, store, summary
from franking.domains.dmarc.models import DmarcReport, DmarcRow, DmarcSource
from franking.domains.dmarc.reports import Unreadable, read_report
from franking.domains.models import Domain
from franking.notices import notices, texts
from franking.notices.models import Notice
from franking.reasons import Invalid, NotFound
from tests.franking.domains.dmarc.conftest import RELAY, Arrive, after
from tests.reports import DAY, Sent, xml

GOOGLE = Sent(20, "209.85.220.41", dkim="x.gappssmtp.com/1")
SES = Sent(30, "54.240.8.31", dkim="amazonses.com/1", aligned="dkim")
OURS = Sent(100, "198.51.100.3", dkim="example.com/s2026q4", aligned="dkim spf")
STRANGER = Sent(5, "203.0.113.9")


def given(database: Database, domain: Domain) -> list[Notice]:
    with database.session() as session:
        account = session.get_one(Account, domain.account_id)
        return list(notices.listed(session, account))


def rows(database: Database, domain: Domain) -> list[summary.SourceRow]:
    with database.session() as session:
        return summary.by_source(session, domain, DAY)


def test_a_report_is_kept_once(database: Database, arrive: Arrive) -> None:
    assert arrive([OURS, GOOGLE]) is True
    assert arrive([OURS, GOOGLE, STRANGER]) is False
    assert arrive([OURS], org="another.example") is True
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(DmarcReport)) == 2
        assert session.scalar(select(func.sum(DmarcRow.messages))) == 220
        assert session.get_one(DmarcSource, (1, sources.RELAY)).messages == 200


def test_sources_add_up(database: Database, domain: Domain, arrive: Arrive) -> None:
    arrive([OURS, SES, STRANGER], 0)
    arrive([OURS, OURS, GOOGLE], 1)
    found = {row.source: row for row in rows(database, domain)}
    assert list(found) == [
        sources.RELAY,
        "Amazon SES",
        "Google Workspace",
        "unknown 203.0.113.0/24",
    ]
    ours = found[sources.RELAY]
    assert (ours.messages, ours.dkim, ours.spf, ours.aligned, ours.share) == (
        300,
        300,
        300,
        300,
        100,
    )
    assert found["Amazon SES"].spf == 0
    assert (found["Google Workspace"].aligned, found["Google Workspace"].share) == (0, 0)
    assert [found[name].own for name in found] == [True, True, True, False]
    assert ours.first_seen_at == DAY
    assert ours.last_seen_at == DAY + timedelta(days=2) - timedelta(seconds=1)
    with database.session() as session:
        later = summary.by_source(session, domain, DAY + timedelta(days=1))
    assert [row.source for row in later] == [sources.RELAY, "Google Workspace"]


def test_days_for_a_chart(database: Database, domain: Domain, arrive: Arrive) -> None:
    arrive([OURS, STRANGER], 0)
    arrive([SES], 0, org="another.example")
    arrive([GOOGLE, STRANGER, STRANGER], 2)
    with database.session() as session:
        days = summary.daily(session, domain, DAY)
    assert [(d.day.day, d.own_aligned, d.own_failed, d.others) for d in days] == [
        (4, 130, 0, 5),
        (6, 0, 20, 10),
    ]
    assert summary.volume(days) == summary.Volume(150, 130, 2)
    assert summary.volume([]).share == 0


def test_what_the_customer_says_counts(database: Database, domain: Domain, arrive: Arrive) -> None:
    arrive([OURS, GOOGLE, STRANGER])
    with database.transaction() as session:
        store.set_verdict(session, domain, "Google Workspace", "foreign")
        store.set_verdict(session, domain, "unknown 203.0.113.0/24", "mine")
        days = summary.daily(session, domain, DAY)
        assert (days[0].own, days[0].others) == (105, 20)
        store.set_verdict(session, domain, "Google Workspace", None)
        store.set_verdict(session, domain, "unknown 203.0.113.0/24", None)
        assert summary.daily(session, domain, DAY)[0].own == 120
    assert {row.source: row.verdict for row in rows(database, domain)} == {
        sources.RELAY: None, "Google Workspace": None, "unknown 203.0.113.0/24": None,
    }  # fmt: skip


def test_verdicts_that_are_not_possible(database: Database, domain: Domain, arrive: Arrive) -> None:
    arrive([OURS])
    with database.transaction() as session:
        with pytest.raises(NotFound, match="named a source 'Mailchimp'"):
            store.set_verdict(session, domain, "Mailchimp", "mine")
        with pytest.raises(Invalid, match="say mine or foreign"):
            store.set_verdict(session, domain, sources.RELAY, "perhaps")
        with pytest.raises(Invalid, match="yours already"):
            store.set_verdict(session, domain, sources.RELAY, "foreign")


@pytest.mark.parametrize(
    ("about", "day", "why"),
    [
        ("example.org", 0, "about example.org"),
        ("notexample.com", 0, "about notexample.com"),
        ("com", 0, "no domain name|about com"),
        ("example.com", 10, "the future"),
    ],
)
def test_reports_that_are_not_ours_to_keep(
    database: Database, domain: Domain, about: str, day: int, why: str
) -> None:
    with database.transaction() as session, pytest.raises(Unreadable, match=why):
        report = read_report(xml(domain=about, begin=DAY + timedelta(days=day)))
        store.keep(session, domain, report, [], after(0))


def test_a_report_about_a_name_below_the_domain_is_kept(database: Database, domain: Domain) -> None:
    with database.transaction() as session:
        report = read_report(xml(domain="News.example.com"))
        own = store.own_of(session, domain, RELAY)
        assert store.store(session, domain, report, own, after(0))


def test_a_flood_is_dammed(
    database: Database, domain: Domain, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_ROWS", 5)
    monkeypatch.setattr(store, "MOST_REPORTS", 3)
    monkeypatch.setattr(store, "MOST_UNKNOWN", 2)
    flood = [Sent(n + 1, f"203.0.{n}.1") for n in range(5)]
    with pytest.raises(Unreadable, match="too many reports"):
        arrive([*flood, OURS])
    assert arrive(flood)
    with database.session() as session:
        listed = set(session.scalars(select(DmarcSource.source)))
    assert listed == {"unknown 203.0.4.0/24", "unknown 203.0.3.0/24"}
    with pytest.raises(Unreadable, match="too many reports"):
        arrive([OURS], org="b.example")
    assert arrive([OURS], 1, org="b.example")
    assert arrive([], 1, org="c.example")
    assert arrive([], 1, org="d.example")
    with pytest.raises(Unreadable, match="too many reports"):
        arrive([], 1, org="e.example")


def test_customers_are_told_of_newcomers_once(
    database: Database, domain: Domain, arrive: Arrive
) -> None:
    def tell(day: int) -> bool:
        with database.transaction() as session:
            return newcomers.tell(session, domain, after(day))

    arrive([OURS, GOOGLE, Sent(9, "54.240.8.31", dkim="amazonses.com/1"), STRANGER], 0)
    assert tell(0)
    [notice] = given(database, domain)
    assert texts.sentence(notice.kind, notice.detail) == (
        "Mail in the name of example.com also comes from Google Workspace."
    )
    assert not tell(0)
    arrive([OURS, GOOGLE], 1)
    assert not tell(2)
    many = [Sent(60, f"203.0.{n}.1") for n in range(120, 140)]
    arrive([*many, Sent(1, "54.240.8.31", dkim="amazonses.com/1")], 3)
    assert tell(3)
    assert texts.sentence(notice.kind, given(database, domain)[0].detail) == (
        "Mail in the name of example.com also comes from Amazon SES and 20 unknown networks."
    )
    arrive([Sent(60, "203.0.200.1")], 3, org="b.example")
    assert not tell(3)
    assert tell(5)
    assert given(database, domain)[0].detail["source"] == "the unknown network 203.0.200.0/24"
    assert len(given(database, domain)) == 3


def test_nobody_is_told_of_what_they_have_judged(
    database: Database, domain: Domain, arrive: Arrive
) -> None:
    arrive([GOOGLE])
    with database.transaction() as session:
        store.set_verdict(session, domain, "Google Workspace", "mine")
        assert not newcomers.tell(session, domain, after(0))


def test_a_token_finds_its_domain_until_that_is_removed(database: Database, domain: Domain) -> None:
    with database.transaction() as session:
        assert domain.dmarc_token is not None
        found = store.domain_of(session, domain.dmarc_token)
        assert found is not None
        assert found.id == domain.id
        assert store.domain_of(session, "") is None
        found.removed_at = after(0)
        session.flush()
        assert store.domain_of(session, domain.dmarc_token) is None
