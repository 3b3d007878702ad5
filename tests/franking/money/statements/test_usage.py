"""Each captured message counts once, under everything that it has."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select

from franking.money import settling, verification
from franking.money.statements import totals, usage
from franking.money.statements.models import ChargeDay, UsageDay
from franking.reasons import Invalid

from .conftest import FIRST, SECOND, Shop, at


def charges(shop: Shop) -> list[tuple[object, ...]]:
    with shop.database.session() as session:
        columns = ChargeDay.__table__.c
        query = select(*columns).order_by(*columns)
        return [tuple(row)[1:] for row in session.execute(query)]


def sound(shop: Shop) -> bool:
    with shop.database.session() as session:
        return verification.verify(session) == []


def test_only_what_was_captured_counts_and_only_once(shop: Shop) -> None:
    kept, given_up = shop.accept(at(10, 5)), shop.accept(at(10, 5))
    assert shop.used().total.messages == 0
    for _ in range(2):
        shop.capture(kept, when=at(10, 5))
        with shop.database.transaction() as session:
            settling.settle(session, "n1", {given_up: ("voided", "gone")}, at(10, 5))
    assert shop.used().total == (1, 1, FIRST, 0)
    assert sound(shop)


def test_a_batch_is_added_up(shop: Shop) -> None:
    sent = [
        shop.accept(at(10, 5), tags=["spring", "vip"], recipients=2),
        shop.accept(at(10, 5), tags=["spring"], credential=1, domain=1),
        shop.accept(at(10, 6), credential=1),
    ]
    shop.capture(*sent, when=at(10, 6))
    assert shop.named("credential") == {
        "website": (1, 2, FIRST, 0),
        "newsletter": (2, 2, FIRST + SECOND, 0),
    }
    assert shop.named("domain") == {
        "example.com": (2, 3, FIRST + SECOND, 0),
        "example.net": (1, 1, FIRST, 0),
    }
    assert shop.named("tag") == {"spring": (2, 3, 2 * FIRST, 0), "vip": (1, 2, FIRST, 0)}
    days = shop.used().series[0].days
    assert [days[n].messages for n in (3, 4, 5, 6)] == [0, 2, 1, 0]
    assert sound(shop)


def test_later_batches_are_added(shop: Shop) -> None:
    for number in range(3):
        shop.send(at(10, 5, number), tags=["spring"])
    assert shop.named("tag") == {"spring": (3, 3, 2 * FIRST + SECOND, 0)}
    day = date(2026, 10, 5)
    assert charges(shop) == [
        (day, 1, FIRST, 2, 2, 2 * FIRST, 0),
        (day, 2, SECOND, 1, 1, SECOND, 0),
    ]


def test_charts_show_when_it_was_accepted_charges_when_it_was_booked(shop: Shop) -> None:
    shop.capture(shop.accept(at(10, 31, 23)), when=at(11, 2))
    assert shop.used().series[0].days[-1] == (1, 1, FIRST, 0)
    assert [row[0] for row in charges(shop)] == [date(2026, 11, 2)]


def test_an_operators_verdict_counts(shop: Shop) -> None:
    queue_id = shop.accept(at(10, 5))
    with shop.database.transaction() as session:
        settling.settle(session, "n1", {queue_id: ("unknown", "gap")}, at(10, 5))
    assert shop.used().total.messages == 0
    with shop.database.transaction() as session:
        settling.settle_unknown(session, "n1", queue_id, "captured", note="x", now=at(10, 7))
    assert shop.used().total == (1, 1, FIRST, 0)
    assert sound(shop)


def test_refunds_are_shown_beside_the_message(shop: Shop) -> None:
    queue_id = shop.send(at(10, 5), tags=["spring"])
    shop.refund(queue_id, 400, at(10, 9))
    assert shop.used().series[0].days[4] == (1, 1, FIRST, 400)
    for dimension in ("credential", "domain", "tag"):
        assert list(shop.named(dimension).values()) == [(1, 1, FIRST, 400)]
    assert charges(shop)[-1] == (date(2026, 10, 9), 1, FIRST, 0, 0, 0, 400)
    assert sound(shop)


def test_a_forgotten_total_is_found(shop: Shop) -> None:
    shop.send(at(10, 5))
    with shop.database.transaction() as session:
        session.query(ChargeDay).delete()
    with shop.database.session() as session:
        assert "daily totals" in verification.verify(session)[0]
    assert shop.statement().difference == -FIRST


def test_tags_that_are_never_the_same(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_TAGS", 3)
    first = [shop.accept(at(10, 5), tags=[f"order-{n}", "spring"]) for n in range(5)]
    shop.capture(*first, when=at(10, 5))
    shop.send(at(10, 5, 13), tags=["order-0", "order-9"])
    with shop.database.session() as session:
        rows = session.execute(
            select(UsageDay.value, UsageDay.messages).where(UsageDay.dimension == "tag")
        )
        kept = {row[0]: row[1] for row in rows}
    assert len(kept) == 4
    # order-9 and what did not fit before; order-0 was there first.
    assert (kept["order-0"], kept[""]) == (2, 6)
    assert shop.used("tag").series[-1].name == "all others"
    shop.send(at(10, 6), tags=["order-9"])  # the next day has room
    assert "order-9" in shop.named("tag")


def test_the_dearest_and_all_others(shop: Shop) -> None:
    for number, tag in enumerate(["a", "b", "b", "c", "c", "c", "d"]):
        shop.send(at(10, 1 + number), tags=[tag])
    found = shop.used("tag", top=2)
    assert [(each.value, each.total.messages) for each in found.series] == [
        ("c", 3),
        ("b", 2),
        (None, 2),
    ]
    assert found.series[-1].days[0].messages == 1  # a, on the first
    assert found.total.messages == 7


def test_names_of_what_is_gone(shop: Shop) -> None:
    shop.send(at(10, 5))
    with shop.database.transaction() as session:
        row = session.query(UsageDay).filter_by(dimension="domain").one()
        row.value = "99"
    assert list(shop.named("domain")) == ["#99"]


def test_the_last_whole_days(shop: Shop) -> None:
    for day in (4, 5, 11, 12):
        shop.send(at(10, day))
    with shop.database.session() as session:
        assert totals.recent(session, shop.account_id, date(2026, 10, 12)).messages == 2


@pytest.mark.parametrize("days", [(date(2026, 10, 2), date(2026, 10, 1)), (date.min, date.max)])
def test_not_any_time(shop: Shop, days: tuple[date, date]) -> None:
    with shop.database.session() as session, pytest.raises(Invalid):
        totals.by_day(session, shop.account_id, *days)


def test_no_such_dimension(shop: Shop) -> None:
    with pytest.raises(Invalid):
        shop.used("colour")
