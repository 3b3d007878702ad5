"""Sources that nobody has judged: whose they are by themselves, and when the customer is asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from franking.db import Database
from franking.domains.config import Dmarc
from franking.domains.dmarc import store
from franking.domains.dmarc.models import DmarcSource
from franking.domains.dmarc.stages import Step
from franking.domains.models import Domain
from tests.franking.domains.dmarc.conftest import FORGER, OURS, Arrive, judge, observe, step
from tests.reports import DAY, Sent

NETWORK = "unknown 203.0.113.0/24"
WEEK = range(8)


def after_30_days(database: Database, own: Dmarc) -> Step:
    """What is next when p=none has been published since DAY for long enough."""
    following = step(database, own, DAY + timedelta(days=30))
    assert following is not None
    return following


@pytest.mark.parametrize("verdict", [None, "mine"])
def test_a_network_from_which_spf_is_aligned_is_the_customer_s(
    database: Database, domain: Domain, own: Dmarc, arrive: Arrive, verdict: str | None
) -> None:
    """Only the owner of the domain lets it pass SPF, so its failing mail is the owner's, too."""
    observe(database, "v=DMARC1; p=none", DAY)
    for day in WEEK:
        arrive([OURS, Sent(400, FORGER.ip, aligned="spf"), Sent(400, FORGER.ip)], day)
    judge(database, NETWORK, verdict)
    following = after_30_days(database, own)
    assert following.obstacles == (
        "55.6 % of your mail was aligned, 3,200 of 7,200 messages were not; it takes 98 %.",
    )
    assert following.unjudged == ()
    judge(database, NETWORK, "foreign")
    assert after_30_days(database, own).offered


@pytest.mark.parametrize("aligned", ["dkim", ""])
def test_the_customer_is_asked_whose_a_large_network_is(
    database: Database, domain: Domain, own: Dmarc, arrive: Arrive, aligned: str
) -> None:
    """A forwarder's signatures hold, too, and a forger's mail all fails."""
    observe(database, "v=DMARC1; p=none", DAY)
    for day in WEEK:
        arrive([OURS, Sent(400, FORGER.ip, aligned=aligned), Sent(400, FORGER.ip)], day)
    failed = "3,200" if aligned else "6,400"
    asked = after_30_days(database, own)
    assert asked.obstacles == (
        f"6,400 messages came from {NETWORK}, and {failed} of them failed:"
        " say whether they are yours.",
    )
    assert [row.source for row in asked.unjudged] == [NETWORK]
    judge(database, NETWORK, "mine")
    [why] = after_30_days(database, own).obstacles
    assert f"{failed} of 7,200 messages were not" in why
    judge(database, NETWORK, "foreign")
    assert after_30_days(database, own).offered
    judge(database, NETWORK, None)
    assert not after_30_days(database, own).offered


def test_what_passes_or_is_little_needs_no_answer(
    database: Database, domain: Domain, own: Dmarc, arrive: Arrive
) -> None:
    observe(database, "v=DMARC1; p=none", DAY)
    little = Sent(1, "203.0.114.1")
    for day in WEEK:
        arrive([OURS, Sent(400, FORGER.ip, aligned="dkim"), Sent(1, FORGER.ip), little], day)
    assert after_30_days(database, own).offered


def test_a_flood_hides_no_network_with_aligned_mail(
    database: Database, domain: Domain, own: Dmarc, arrive: Arrive
) -> None:
    observe(database, "v=DMARC1; p=none", DAY)
    forgotten = [Sent(10, "192.0.2.1", aligned="dkim"), Sent(10, "192.0.2.1")]
    for day in WEEK:
        arrive([OURS, FORGER, *forgotten], day)
    judge(database, NETWORK, "foreign")
    assert [row.source for row in after_30_days(database, own).unjudged] == ["unknown 192.0.2.0/24"]


def test_forgers_cannot_keep_asking(
    database: Database, domain: Domain, own: Dmarc, arrive: Arrive
) -> None:
    """Some 20 networks can be large, and to call one foreign makes no other one large."""
    observe(database, "v=DMARC1; p=none", DAY)
    sizes = [int(10_000 * 0.9**n) for n in range(40)]
    for day in WEEK:
        arrive([OURS, *(Sent(size, f"203.0.{n}.1") for n, size in enumerate(sizes))], day)
    asked = after_30_days(database, own).unjudged
    assert [row.source for row in asked] == [f"unknown 203.0.{n}.0/24" for n in range(7)]
    for row in asked:
        judge(database, row.source, "foreign")
    assert after_30_days(database, own).offered


def test_a_network_that_was_one_too_many_to_be_listed_can_be_judged(
    database: Database, domain: Domain, own: Dmarc, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_UNKNOWN", 0)
    observe(database, "v=DMARC1; p=none", DAY)
    for day in WEEK:
        arrive([OURS, FORGER], day)
    assert [row.source for row in after_30_days(database, own).unjudged] == [NETWORK]
    judge(database, NETWORK, "foreign")
    assert after_30_days(database, own).offered
    with database.session() as session:
        assert session.get_one(DmarcSource, (1, NETWORK)).messages == 72_000
        assert session.get_one(DmarcSource, (1, NETWORK)).first_seen_at == DAY
