"""Whatever a wrong clock has written about keys: rotation goes on, and no record goes too early."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from franking.db import Database
from franking.domains.rotation import steps, turns
from tests import factories
from tests.franking.domains.rotating import DAY, MINUTE, OWN, START, Rotating

FIRST, SECOND = "s2026q1", "s2026q2"
TURN = START.replace(month=4)
YEAR = 365 * DAY


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        yield session


@pytest.fixture
def cname(session: Session) -> Rotating:
    return Rotating(session, method="cname")


def test_what_is_due_later_than_can_be_is_due(cname: Rotating) -> None:
    cname.change(lambda domain: setattr(domain, "dkim_due_at", START + turns.WEEK))
    assert steps.due(cname.session, START, 1) == []
    cname.change(lambda domain: setattr(domain, "dkim_due_at", START + YEAR))
    assert steps.due(cname.session, START, 1) == [cname.domain_id]
    cname.step()
    due = cname.domain().dkim_due_at
    assert due is not None and due <= START + turns.WEEK
    assert steps.due(cname.session, START, 1) == []


def test_a_key_that_began_in_a_wrong_year_is_replaced_in_this_one(cname: Rotating) -> None:
    cname.now = START + YEAR
    cname.step()
    cname.step(timedelta(hours=1))
    cname.step(timedelta(hours=1))
    assert cname.signing() == ["frank2"]
    cname.now = START + DAY  # set right
    assert cname.step() == []
    retired, active = cname.rows()
    assert active.activated_at == cname.now
    assert (retired.retired_at, retired.remove_at) == (cname.now, cname.now + 12 * DAY)
    assert cname.until(START + 14 * DAY) == ["removed key frank1"]
    assert cname.until(START + 95 * DAY) == ["made key frank1", "key frank1 signs"]


def test_a_key_that_waits_for_a_wrong_year_signs_in_this_one(session: Session) -> None:
    txt = Rotating(session)
    txt.until(TURN - 13 * DAY)
    (coming,) = [key for key in txt.rows() if key.state == "pending"]
    coming.activate_at = coming.told_at = coming.seen_at = TURN + YEAR
    txt.publish(SECOND)
    txt.step()
    assert coming.activate_at == txt.now + 14 * DAY
    assert coming.seen_at == txt.now and coming.told_at is None
    assert txt.until(TURN + 3 * DAY) == [f"key {SECOND} signs"]


def test_a_clock_that_was_behind_removes_no_record(cname: Rotating) -> None:
    """Retired in 1970, so its time was over at once."""
    cname.begin()
    cname.step()
    cname.step(timedelta(seconds=OWN.zone_ttl))
    old, _ = cname.rows()
    old.created_at = cname.now - DAY
    old.retired_at, old.remove_at = cname.now - 56 * YEAR, cname.now - 56 * YEAR + 12 * DAY
    assert cname.step(MINUTE) == []
    assert cname.until(cname.now + 10 * DAY) == []
    assert cname.until(cname.now + 2 * DAY) == ["removed key frank1"]


def test_nothing_is_removed_while_the_clock_is_not_believed(cname: Rotating) -> None:
    cname.begin()
    cname.step()
    cname.step(timedelta(seconds=OWN.zone_ttl))
    cname.now += YEAR
    done = steps.step(
        cname.session, cname.domain(), cname.now, own=OWN, master_key=factories.MASTER_KEY,
        seen=cname.seen, removing=False,
    )  # fmt: skip
    assert done == [] and set(cname.states()) == {"frank1", "frank2"}
    due = cname.domain().dkim_due_at
    assert due is not None and cname.now < due <= cname.now + timedelta(hours=1)
