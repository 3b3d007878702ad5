"""What the relay failed to deliver is given back once, exactly, and nothing else is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.db import Database
from franking.mail import events, unsettled
from franking.money import refunds
from franking.money.pricing import Tariff, Tier
from franking.money.refunds import Failure
from franking.money.terms import RefundFor, Terms, stored
from franking.reasons import Invalid, NotFound
from tests.franking.seller import NODE, NOW, Seller

UNKNOWN = "550 5.1.1 user unknown"
ALL: tuple[RefundFor, ...] = ("expired", "blocked")
PEOPLE = [f"{letter}@dest.example" for letter in "abcdefgh"]


def seller(
    database: Database, *tiers: tuple[int, int], money: int = 10_000, **terms: object
) -> Seller:
    made = Seller(
        database,
        tiers=tuple(Tier(*tier) for tier in tiers or ((0, 100),)),
        terms=Terms(**terms),  # type: ignore[arg-type]
    )
    made.deposit(money)
    return made


def give_back(shop: Seller, *queue_ids: str) -> dict[str, int]:
    with shop.database.transaction() as session:
        return refunds.give_back(session, NODE, queue_ids, NOW)


def sent(shop: Seller, queue_id: str, *to: str, suppressed: tuple[str, ...] = ()) -> None:
    shop.send(queue_id, *to, suppressed=suppressed)
    shop.settle("captured", queue_id)


class TestByMessage:
    def test_expired(self, database: Database) -> None:
        shop = seller(database)
        sent(shop, "A", *PEOPLE[:2])
        shop.expire("A")
        assert give_back(shop, "A") == {"A": 100}
        assert shop.balance == (10_000, 0)
        assert shop.message("A").refunded == 100
        assert shop.refunds() == [(100, "expired", PEOPLE[1])]
        assert shop.sound()

    @pytest.mark.parametrize("times", [2, 3])
    def test_once(self, database: Database, times: int) -> None:
        shop = seller(database)
        sent(shop, "A")
        shop.expire("A")
        assert [give_back(shop, "A") for _ in range(times)][1:] == [{}] * (times - 1)
        assert shop.balance == (10_000, 0)

    def test_when_the_last_one_has_ended(self, database: Database) -> None:
        shop = seller(database)
        sent(shop, "A", *PEOPLE[:3], suppressed=(PEOPLE[2],))
        shop.end("A", PEOPLE[0])
        assert give_back(shop, "A") == {}
        shop.expire("A")
        assert give_back(shop, "A") == {"A": 100}

    @pytest.mark.parametrize(
        ("kind", "reply"), [("delivered", "250 2.0.0 ok"), ("bounced", UNKNOWN)]
    )
    def test_not_when_another_was_served(self, database: Database, kind: str, reply: str) -> None:
        shop = seller(database)
        sent(shop, "A", *PEOPLE[:2])
        shop.end("A", PEOPLE[0], kind, reply)
        shop.expire("A")
        assert give_back(shop, "A") == {}
        assert shop.balance == (9_900, 0)


class TestByRecipient:
    def test_each_has_its_share(self, database: Database) -> None:
        shop = seller(database, billing_unit="recipient")
        sent(shop, "A", *PEOPLE[:4], suppressed=(PEOPLE[3],))
        assert shop.balance == (9_700, 0)
        shop.end("A", PEOPLE[0])
        assert give_back(shop, "A") == {"A": 100}
        shop.end("A", PEOPLE[1], reply=UNKNOWN)
        assert give_back(shop, "A") == {}
        shop.expire("A")
        assert give_back(shop, "A") == {"A": 100}
        assert shop.refunds() == [(100, "blocked", PEOPLE[0]), (100, "expired", PEOPLE[2])]
        assert shop.message("A").refunded == 200
        assert shop.sound()

    def test_the_last_unit_first(self, database: Database) -> None:
        """As if it had been sent without them."""
        shop = seller(database, (0, 100), (1, 80), (2, 0), billing_unit="recipient", included=1)
        sent(shop, "A", *PEOPLE[:5])  # 0, 100, 80, 0, 0
        given = []
        for person in PEOPLE[:5]:
            shop.end("A", person)
            given.append(give_back(shop, "A").get("A", 0))
        assert given == [0, 0, 80, 100, 0]
        assert shop.balance == (10_000, 0)

    def test_both_reasons_in_one_look(self, database: Database) -> None:
        shop = seller(database, billing_unit="recipient")
        for queue_id in ("A", "B"):
            sent(shop, queue_id, *PEOPLE[:2])
            shop.end(queue_id, PEOPLE[0])
        shop.expire("A", "B")
        assert give_back(shop, "A", "B") == {"A": 200, "B": 200}
        assert len(shop.refunds()) == 4
        assert shop.sound()


class TestTerms:
    @pytest.mark.parametrize(
        ("refunded", "given"), [(ALL, 200), (("expired",), 100), (("blocked",), 100), ((), 0)]
    )
    def test_say_which(
        self, database: Database, refunded: tuple[RefundFor, ...], given: int
    ) -> None:
        shop = seller(database, refunds=refunded)
        sent(shop, "A")
        sent(shop, "B")
        shop.end("A", "one@dest.example")
        shop.expire("B")
        assert sum(give_back(shop, "A", "B").values()) == given
        assert shop.balance == (9_800 + given, 0)

    def test_may_change_between(self, database: Database) -> None:
        shop = seller(database, (0, 100), (1, 80), billing_unit="recipient", refunds=("blocked",))
        sent(shop, "A", *PEOPLE[:2])
        shop.end("A", PEOPLE[0])
        assert give_back(shop, "A") == {"A": 80}
        shop.change(Terms(billing_unit="message"))
        shop.expire("A")
        assert give_back(shop, "A") == {"A": 100}


def test_deleted_by_an_operator(database: Database) -> None:
    shop = seller(database)
    sent(shop, "A")
    with database.transaction() as session:
        events.record_removed(session, NODE, [("A", NOW)])
    assert give_back(shop, "A") == {}


def test_nothing_for_what_is_not_paid(database: Database) -> None:
    shop = seller(database)
    for queue_id in ("A", "B"):
        shop.send(queue_id)
        shop.expire(queue_id)
    shop.settle("unknown", "B")
    assert give_back(shop, "A", "B", "nobody's") == {}
    assert shop.balance == (9_800, 200)


def test_an_unknown_one_that_was_sent_after_all(database: Database) -> None:
    """Its end has been told already."""
    shop = seller(database)
    shop.send("A")
    shop.settle("unknown", "A")
    shop.expire("A")
    with database.transaction() as session:
        unsettled.settle(session, NODE, "A", "captured", note="seen", now=NOW)
    assert shop.balance == (10_000, 0)
    assert shop.sound()


def rest(shop: Seller, queue_id: str) -> int:
    with shop.database.transaction() as session:
        return refunds.give_back_rest(session, NODE, queue_id, note="sorry", now=NOW)


def test_goodwill(database: Database) -> None:
    shop = seller(database, billing_unit="recipient")
    sent(shop, "A", *PEOPLE[:3])
    shop.end("A", PEOPLE[0])
    give_back(shop, "A")
    assert rest(shop, "A") == 200
    assert shop.refunds()[1:] == [(200, "sorry", None)]
    with pytest.raises(Invalid, match="given back"):
        rest(shop, "A")
    shop.expire("A")
    assert give_back(shop, "A") == {}
    assert shop.balance == (10_000, 0)
    assert shop.sound()


def test_goodwill_needs_a_charge(database: Database) -> None:
    shop = seller(database)
    shop.send("A")
    with pytest.raises(Invalid, match="not charged"):
        rest(shop, "A")
    with pytest.raises(NotFound):
        rest(shop, "B")


@given(
    begins=st.lists(st.integers(1, 8), unique=True, max_size=3).map(sorted),
    prices=st.lists(st.integers(0, 1000), min_size=4, max_size=4),
    included=st.integers(0, 4),
    volume=st.integers(0, 12),
    written_to=st.integers(1, 8),
    failed=st.lists(st.sampled_from(ALL), max_size=8),
)
def test_costs_what_it_would_have_cost_without_them(
    *,
    begins: list[int],
    prices: list[int],
    included: int,
    volume: int,
    written_to: int,
    failed: list[RefundFor],
) -> None:
    tariff = Tariff(1, tuple(map(Tier, [0, *begins], prices)), included)
    failures = [Failure(number, why) for number, why in enumerate(failed[:written_to])]
    quote = tariff.quote(written_to, volume)
    for refunded in (ALL, ("blocked",), ("expired",), ()):
        row = SimpleNamespace(
            units=written_to, amount=quote.amount, unit_price=quote.parts[0].unit_price,
            parts=[[part.units, part.tier, part.unit_price] for part in quote.parts],
            terms=stored(Terms(billing_unit="recipient", refunds=refunded)),
        )  # fmt: skip
        units = list(refunds.due(row, written_to, failures))
        assert [unit.failure for unit in units] == [f for f in failures if f.why in refunded]
        assert len({unit.number for unit in units}) == len(units)
        if refunded == ALL:
            without = tariff.quote(written_to - len(failures), volume).amount
            assert quote.amount - sum(unit.amount for unit in units) == without
