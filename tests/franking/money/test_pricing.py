"""What units cost: tiers, included ones, and prices that change on a date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.db import Database
from franking.money import pricing
from franking.money.models import Plan
from franking.money.pricing import Part, Quote, Tariff, Tier
from franking.money.terms import FEATURES, Terms, stored, terms_of
from franking.reasons import Invalid, NotFound, Taken
from tests.franking.seller import NOW, Seller

DAY = timedelta(days=1)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    begins = draw(st.lists(st.integers(1, 60), unique=True, max_size=4).map(sorted))
    tiers = tuple(Tier(above, draw(st.integers(0, 2000))) for above in [0, *begins])
    return Tariff(1, tiers, draw(st.integers(0, 30)))


def one_price(tariff: Tariff, before: int) -> tuple[int, int]:
    """Tier and price of one more unit, the plain way."""
    if before < tariff.included:
        return 0, 0
    counted = before - tariff.included
    number = max(n for n, tier in enumerate(tariff.tiers, 1) if tier.above <= counted)
    return number, tariff.tiers[number - 1].unit_price


@given(tariffs(), st.integers(1, 80), st.integers(0, 120))
def test_unit_by_unit(tariff: Tariff, units: int, volume: int) -> None:
    quote = tariff.quote(units, volume)
    each = [(part.tier, part.unit_price) for part in quote.parts for _ in range(part.units)]
    assert each == [one_price(tariff, volume + number) for number in range(units)]
    assert quote.units == units and quote.amount == sum(price for _, price in each)
    assert tariff.next_price(volume) == each[0][1]
    tiers = [part.tier for part in quote.parts]
    assert tiers == sorted(set(tiers)), "one part for each tier"


@given(tariffs(), st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 60))
def test_one_message_or_several_cost_the_same(
    tariff: Tariff, sizes: list[int], volume: int
) -> None:
    apart, at = 0, volume
    for size in sizes:
        apart += tariff.quote(size, at).amount
        at += size
    assert apart == tariff.quote(sum(sizes), volume).amount


@given(tariffs())
def test_flat_is_independent_of_the_volume(tariff: Tariff) -> None:
    if tariff.flat:
        assert tariff.quote(3, 0) == tariff.quote(3, 10**9)
    else:
        assert tariff.included or len(tariff.tiers) > 1


def test_half_a_tier_within_one_message(database: Database) -> None:
    tiers = (Tier(0, 100), Tier(4, 80))
    shop = Seller(database, tiers, Terms(billing_unit="recipient", included=1))
    shop.deposit(10_000)
    people = [f"{number}@dest.example" for number in range(7)]
    shop.send("A", *people)
    row = shop.reservation("A")
    assert (row.units, row.amount, row.tier, row.unit_price) == (7, 4 * 100 + 2 * 80, 0, 0)
    assert row.parts == [[1, 0, 0], [4, 1, 100], [2, 2, 80]]
    shop.send("B", people[0])
    later = shop.reservation("B")
    assert (later.amount, later.tier, later.unit_price, later.parts) == (80, 2, 80, None)
    assert shop.message("A").cost == 560
    assert shop.sound()


def test_a_month_begins_anew(database: Database) -> None:
    shop = Seller(database, (Tier(0, 100), Tier(1, 80)))
    shop.deposit(10_000)
    for queue_id in ("A", "B"):
        shop.send(queue_id)
    shop.now = datetime(2026, 12, 1, tzinfo=UTC)
    shop.send("C")
    assert [shop.reservation(queue_id).amount for queue_id in "ABC"] == [100, 80, 100]


def test_what_is_given_up_does_not_count(database: Database) -> None:
    shop = Seller(database, (Tier(0, 100), Tier(1, 80)))
    shop.deposit(10_000)
    shop.send("A")
    shop.settle("voided", "A")
    shop.send("B")
    assert shop.reservation("B").amount == 100
    assert shop.used[:2] == (1, 100)


def test_prices_begin_on_their_date(database: Database) -> None:
    shop = Seller(database)
    shop.deposit(10_000)
    with database.transaction() as session:
        plan = pricing.plan_named(session, "plan")
        pricing.set_price(session, plan, [Tier(0, 70)], starts_at=NOW + DAY, now=NOW)
    prices = []
    for queue_id, moment in (("A", NOW), ("B", NOW + DAY - timedelta(seconds=1)), ("C", NOW + DAY)):
        shop.now = moment
        shop.send(queue_id)
        prices.append(shop.reservation(queue_id).unit_price)
    assert prices == [100, 100, 70]
    shop.settle("captured", "A", "C")  # the price is the message's own
    assert shop.balance == (10_000 - 270, 100)
    assert shop.reservation("A").price_list_id != shop.reservation("C").price_list_id


class TestPriceLists:
    @pytest.fixture
    def plan(self, database: Database) -> Plan:
        with database.transaction() as session:
            return pricing.create_plan(session, "p", currency="eur", unit_price=5, now=NOW)

    def test_those_to_come_may_be_replaced_and_withdrawn(
        self, database: Database, plan: Plan
    ) -> None:
        with database.transaction() as session:
            for price in (6, 7):
                found = pricing.set_price(
                    session, plan, [Tier(0, price)], starts_at=NOW + DAY, now=NOW
                )
            assert [row.tiers for row in pricing.price_lists(session, plan)] == [
                "[[0, 7]]", "[[0, 5]]",
            ]  # fmt: skip
            pricing.withdraw_price(session, plan, found.id, now=NOW)
            assert len(pricing.price_lists(session, plan)) == 1
            with pytest.raises(NotFound):
                pricing.withdraw_price(session, plan, found.id, now=NOW)

    def test_those_that_have_begun_stay(self, database: Database, plan: Plan) -> None:
        with database.transaction() as session:
            (first,) = pricing.price_lists(session, plan)
            with pytest.raises(Invalid, match="have begun"):
                pricing.withdraw_price(session, plan, first.id, now=NOW)
            with pytest.raises(Taken, match="never changed"):
                pricing.set_price(session, plan, [Tier(0, 6)], starts_at=NOW, now=NOW)
            with pytest.raises(Invalid, match="past"):
                pricing.set_price(session, plan, [Tier(0, 6)], starts_at=NOW - DAY, now=NOW)
            with pytest.raises(NotFound, match="no price yet"):
                pricing.tariff_at(session, plan, NOW - DAY)

    @pytest.mark.parametrize(
        ("tiers", "said"),
        [
            ([], "say what"),
            ([Tier(1, 5)], "begin at 0"),
            ([Tier(0, 5), Tier(0, 4)], "above the one before"),
            ([Tier(0, 5), Tier(9, 4), Tier(8, 3)], "above the one before"),
            ([Tier(0, -1)], "negative"),
            ([Tier(0, 10**18)], "too large"),
            ([Tier(0, 5), Tier(10**13, 5)], "too large"),
            ([Tier(number, 5) for number in range(21)], "more than 20"),
        ],
    )
    def test_tiers_that_are_none(
        self, database: Database, plan: Plan, tiers: list[Tier], said: str
    ) -> None:
        with database.transaction() as session, pytest.raises(Invalid, match=said):
            pricing.set_price(session, plan, tiers, starts_at=NOW + DAY, now=NOW)

    @pytest.mark.parametrize("currency", ["EURO", "E1R", "", "ÄÖÜ"])
    def test_currencies(self, database: Database, currency: str) -> None:
        with database.transaction() as session, pytest.raises(Invalid, match="ISO 4217"):
            pricing.create_plan(session, "q", currency=currency, unit_price=1)

    def test_a_name_once(self, database: Database, plan: Plan) -> None:
        with database.transaction() as session, pytest.raises(Taken):
            pricing.create_plan(session, plan.name, currency="EUR", unit_price=1)


class TestTerms:
    def test_only_what_differs_is_stored(self) -> None:
        assert stored(Terms()) == "{}" and terms_of("{}") == Terms()
        chosen = Terms(billing_unit="recipient", features=("api",), refunds=(), overdraft=7)
        assert terms_of(stored(chosen)) == chosen
        assert Terms().features == FEATURES

    @pytest.mark.parametrize(
        "value",
        [{"grace": -1}, {"overdraft": -1}, {"on_empty": "pay"}, {"refunds": ["all"]}, {"x": 1}],
    )
    def test_wrong_ones(self, value: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=next(iter(value))):
            Terms.model_validate(value)

    @pytest.mark.parametrize(
        ("terms", "floor"),
        [
            (Terms(), 0),
            (Terms(overdraft=500), 500),
            (Terms(grace=3), 0),
            (Terms(on_empty="grace", grace=3), 300),
            (Terms(on_empty="grace", grace=3, overdraft=500), 800),
        ],
    )
    def test_how_far_below_zero(self, terms: Terms, floor: int) -> None:
        assert terms.floor(100) == floor


def test_nothing_costs_nothing() -> None:
    assert Quote(()).amount == Quote(()).units == 0
    assert Tariff(1, (Tier(0, 5),)).quote(2, 7).parts == (Part(2, 1, 5),)
