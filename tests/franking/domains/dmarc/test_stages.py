"""From none to reject: what is published decides the stage, and reports when the next can come."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from franking.accounts.models import Account
from franking.db import Database
from franking.domains import relayzone
from franking.domains.config import Dmarc
from franking.domains.dmarc import authorisation, stages, store
from franking.domains.models import DnsCheck, Domain, ZoneEntry
from franking.domains.records import RelayNames
from franking.notices import notices, texts
from franking.reasons import Invalid
from tests.franking.domains.dmarc.conftest import (
    FORGER,
    OURS,
    RELAY,
    Arrive,
    after,
    judge,
    observe,
    step,
)
from tests.reports import DAY, Sent

GOOGLE = Sent(3, "209.85.220.41", dkim="x.gappssmtp.com/1")


def found(database: Database, *texts: str) -> None:
    """What the last check has found at _dmarc.example.com."""
    with database.transaction() as session:
        session.add(
            DnsCheck(
                domain_id=1, purpose="dmarc", name="_dmarc.example.com", status="verified",
                found=list(texts),
            )
        )  # fmt: skip


def test_the_first_step_is_to_publish_a_record(
    database: Database, domain: Domain, own: Dmarc
) -> None:
    first = step(database, own, DAY)
    assert first is not None
    assert (first.present, first.next, first.offered) == (None, "none", True)
    assert first.record == f"v=DMARC1; p=none; rua=mailto:{domain.dmarc_token}@{RELAY.reports}"
    assert first.back is None


def test_the_whole_way(database: Database, domain: Domain, own: Dmarc, arrive: Arrive) -> None:
    """30 days at none, 30 at quarantine; a flood that was called foreign changes nothing."""
    observe(database, "v=DMARC1; p=none", DAY)
    for day in range(60):
        arrive([OURS, FORGER], day)
        if day == 0:
            judge(database, "unknown 203.0.113.0/24", "foreign")
        if day == 29:
            early = step(database, own, after(28))
            assert early is not None
            assert early.obstacles == ("p=none has been published for 29 days of 30.",)
            ready = step(database, own, after(29))
            assert ready is not None
            assert (ready.present, ready.next, ready.obstacles) == ("none", "quarantine", ())
            assert (ready.days, ready.volume.messages, ready.volume.share) == (30, 2900, 100.0)
            address = f"rua=mailto:{domain.dmarc_token}@{RELAY.reports}"
            assert ready.record == f"v=DMARC1; p=quarantine; {address}"
            observe(database, ready.record, DAY + timedelta(days=30))
    last = step(database, own, DAY + timedelta(days=61))
    assert last is not None
    assert (last.next, last.offered) == ("reject", True)
    assert last.back is not None
    assert "p=none" in last.back
    observe(database, last.record, DAY + timedelta(days=61))
    assert step(database, own, DAY + timedelta(days=61)) is None


def test_why_not_yet(database: Database, domain: Domain, own: Dmarc, arrive: Arrive) -> None:
    observe(database, "v=DMARC1; p=none", DAY)
    assert step(database, own, DAY + timedelta(days=1)) is not None
    none = step(database, own, DAY + timedelta(days=1))
    assert none is not None
    assert none.obstacles == (
        "p=none has been published for 1 day of 30.",
        "Receivers have reported mail of yours on 0 days; it takes 7.",
    )
    for day in range(8):
        arrive([OURS, GOOGLE], day)
    unaligned = step(database, own, DAY + timedelta(days=30))
    assert unaligned is not None
    assert unaligned.obstacles == (
        "97.1 % of your mail was aligned, 24 of 824 messages were not; it takes 98 %.",
    )
    with database.transaction() as session:
        store.set_verdict(session, domain, "Google Workspace", "foreign")
    ready = step(database, own, DAY + timedelta(days=30))
    assert ready is not None
    assert ready.offered
    with database.transaction() as session:
        store.set_verdict(session, domain, "Google Workspace", "mine")
    lenient = step(database, own.model_copy(update={"share": 97.0}), DAY + timedelta(days=30))
    assert lenient is not None
    assert lenient.offered


def test_reports_of_before_the_stage_do_not_count(
    database: Database, domain: Domain, own: Dmarc, arrive: Arrive
) -> None:
    observe(database, "v=DMARC1; p=none", DAY - timedelta(days=60))
    for day in range(10):
        arrive([OURS], day)
    now = DAY + timedelta(days=12)
    before = step(database, own, now)
    assert before is not None
    assert before.offered
    observe(database, "v=DMARC1; p=quarantine", now)
    fresh = step(database, own, now + timedelta(days=40))
    assert fresh is not None
    assert fresh.obstacles == ("Receivers have reported mail of yours on 0 days; it takes 7.",)


def test_without_an_address_for_reports_nothing_is_offered(
    database: Database, domain: Domain, own: Dmarc
) -> None:
    observe(database, "v=DMARC1; p=none", DAY)
    blind = step(database, own, DAY + timedelta(days=90), RelayNames())
    assert blind is not None
    assert "nobody knows" in blind.obstacles[0]


def test_the_days_are_the_customer_s(
    database: Database, domain: Domain, own: Dmarc, arrive: Arrive
) -> None:
    with database.transaction() as session:
        mine = session.get_one(Domain, 1)
        for impossible in (14, 46, -1):
            with pytest.raises(Invalid, match="15 to 45 days"):
                stages.set_days(session, mine, impossible)
        stages.set_days(session, mine, 15)
    observe(database, "v=DMARC1; p=none", DAY)
    for day in range(15):
        arrive([OURS], day)
    ready = step(database, own, DAY + timedelta(days=15, hours=1))
    assert ready is not None
    assert ready.offered


@pytest.mark.parametrize(("stored", "days"), [(7, 15), (15, 15), (45, 45), (90, 45)])
def test_days_of_before_there_were_these_limits(
    database: Database, domain: Domain, own: Dmarc, stored: int, days: int
) -> None:
    with database.transaction() as session:
        mine = session.get_one(Domain, 1)
        mine.dmarc_days = stored
        assert stages.days_of(mine) == days
    observe(database, "v=DMARC1; p=none", DAY)
    for age, early in ((days - 1, True), (days, False)):
        following = step(database, own, DAY + timedelta(days=age))
        assert following is not None
        said = f"p=none has been published for {age} days of {days}."
        assert (said in following.obstacles) is early


@pytest.mark.parametrize(
    ("published", "stage", "since"),
    [
        ("v=DMARC1; p=reject", "reject", True),
        ("v=DMARC1; p=reject; pct=10", "quarantine", True),
        ("v=DMARC1; p=monitor", "none", False),
        (None, "none", False),
    ],
)
def test_the_stage_is_what_is_published(
    database: Database, domain: Domain, published: str | None, stage: str, since: bool
) -> None:
    observe(database, "v=DMARC1; p=quarantine; sp=none", DAY)
    observe(database, published, DAY + timedelta(days=3))
    with database.session() as session:
        seen = session.get_one(Domain, 1)
        assert seen.dmarc_stage == stage
        expected = DAY if stage == "quarantine" else DAY + timedelta(days=3)
        assert seen.dmarc_since == (expected if since else None)


def test_the_next_record_keeps_what_is_the_customer_s(
    database: Database, domain: Domain, own: Dmarc
) -> None:
    text = "v=DMARC1; p=none; sp=none; rua=mailto:me@example.com; fo=1"
    found(database, "google-site-verification=x", text)
    observe(database, text, DAY)
    following = step(database, own, DAY + timedelta(days=5))
    assert following is not None
    assert following.record == (
        "v=DMARC1; p=quarantine; sp=none;"
        f" rua=mailto:me@example.com,mailto:{domain.dmarc_token}@{RELAY.reports}; fo=1"
    )


def test_readiness_is_told_once_for_each_stage(
    database: Database, domain: Domain, own: Dmarc, arrive: Arrive
) -> None:
    def announce(at: datetime) -> bool:
        with database.transaction() as session:
            return stages.announce(session, session.get_one(Domain, 1), at, own, RELAY)

    observe(database, "v=DMARC1; p=none", DAY)
    for day in range(30):
        arrive([OURS], day)
    assert not announce(after(20))
    assert announce(after(29))
    assert not announce(after(29) + timedelta(days=1))
    observe(database, "v=DMARC1; p=quarantine", after(30))
    for day in range(30, 62):
        arrive([OURS], day)
    assert announce(after(61))
    assert not announce(after(62))
    with database.session() as session:
        account = session.get_one(Account, domain.account_id)
        told = [n for n in notices.listed(session, account) if n.kind == "dmarc.ready"]
        assert [n.detail["policy"] for n in told] == ["reject", "quarantine"]
        assert texts.sentence("dmarc.ready", told[0].detail).endswith("can come: p=reject.")


OWN_ZONE = RelayNames(reports="reports.relay.example", dkim_zone="relay.example")


def test_reports_from_elsewhere_are_agreed_to_in_our_own_zone(
    database: Database, domain: Domain
) -> None:
    name = "example.com._report._dmarc.reports.relay.example"
    with database.transaction() as session:
        mine = session.get_one(Domain, 1)
        authorisation.agree(session, mine, RELAY)
        assert session.get(ZoneEntry, name) is None
        authorisation.agree(session, mine, OWN_ZONE)
        authorisation.agree(session, mine, OWN_ZONE)
        assert session.get_one(ZoneEntry, name).value == "v=DMARC1"
        relayzone.put(session, "notexample.com._report._dmarc.reports.relay.example", "v=DMARC1")
        mine.removed_at = DAY
        session.flush()
        authorisation.withdraw(session, mine)
        assert session.get(ZoneEntry, name) is None
        assert session.get(ZoneEntry, "not" + name) is not None


def test_what_the_operator_publishes_by_hand() -> None:
    assert authorisation.relay_records(RelayNames(), "mx.relay.example") == []
    by_hand = authorisation.relay_records(RELAY, "mx.relay.example")
    assert [(r.name, r.type, r.value) for r in by_hand] == [
        ("reports.relay.example", "MX", "10 mx.relay.example."),
        ("*._report._dmarc.reports.relay.example", "TXT", "v=DMARC1"),
    ]
    ours = authorisation.relay_records(OWN_ZONE, "mx.relay.example")
    assert [r.type for r in ours] == ["MX"]
