"""Payments by card, over the real protocol to a stand-in on this machine."""

from __future__ import annotations

import itertools
import random
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import stripe
from structlog.testing import capture_logs

from franking.accounts.models import Account
from franking.money import ledger, ledger_pages
from franking.money.deposits import cards, deposits, settlement
from franking.money.deposits.provider import Forged, ProviderTrouble, Unavailable
from franking.money.ledger_pages import Wanted
from franking.reasons import Invalid
from tests import factories
from tests.payments import stripe_server

from .conftest import EUR, Till


def test_a_payment_is_credited_once(till: Till) -> None:
    reference = till.by_card(20 * EUR)
    begun = till.deposit(reference)
    assert begun.pay_url == till.stripe.of(reference)["url"]
    assert (begun.state, begun.credited, till.available()) == ("pending", 0, 0)
    till.stripe.pay(reference)
    till.tell()
    till.tell()
    assert till.standing(reference) == ("paid", 20 * EUR)
    assert till.available() == 20 * EUR
    assert till.notices() == ["deposit.paid"]
    assert till.sound()


def test_what_stripe_is_asked_for(till: Till) -> None:
    reference = till.by_card(12_340_000)
    session = till.stripe.of(reference)
    assert (session["amount_total"], session["currency"], session["mode"]) == (
        1234,
        "eur",
        "payment",
    )
    assert session["success_url"] == f"https://panel.example.net/payments/{reference}?returned=1"
    assert list(till.stripe.keys) == [reference]


def test_a_repeat_does_not_even_ask(till: Till) -> None:
    till.stripe.pay(till.by_card())
    till.tell()
    before = len(till.stripe.requests)
    till.tell()
    assert len(till.stripe.requests) == before


def test_orders_of_many_events(till: Till) -> None:
    """Paid, a quarter refunded, disputed for the rest, won; each order for a new payment."""
    for number in range(1, 21):
        reference = till.by_card(20 * EUR)
        till.stripe.events.clear()
        intent = till.stripe.pay(reference)
        till.stripe.refund(intent, 500)
        till.stripe.close(till.stripe.dispute(intent, 1500), "won")
        assert len(till.stripe.events) == 9
        random.Random(number).shuffle(till.stripe.events)
        till.tell()
        assert till.standing(reference) == ("paid", 15 * EUR)
        assert till.available() == number * 15 * EUR
    assert till.sound()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_each_event_in_any_place(till: Till, order: tuple[int, ...]) -> None:
    """Nothing is known of a payment before the first of its events arrives, whichever it is."""
    reference = till.by_card(20 * EUR)
    intent = till.stripe.pay(reference)
    till.stripe.refund(intent, 2000)
    of_kind = {event["type"]: event for event in till.stripe.events}
    kinds = (
        "charge.refunded",
        "payment_intent.succeeded",
        "checkout.session.completed",
        "refund.created",
    )
    till.tell(*(of_kind[kinds[place]] for place in order))
    assert till.standing(reference) == ("reversed", 0)
    assert till.available() == 0
    assert till.sound()


def test_an_answer_that_was_overtaken(till: Till) -> None:
    """Asked when it was paid, answered when it has been refunded and that is booked."""
    reference = till.by_card(20 * EUR)
    intent = till.stripe.pay(reference)
    answered = Event()
    paid = till.stripe.events[-1]
    with ThreadPoolExecutor(1) as pool:
        till.stripe.gate = ("/v1/payment_intents/", answered)
        slow = pool.submit(till.tell, paid)
        assert till.stripe.waiting.wait(10)
        till.stripe.refund(intent, 500)
        till.tell(till.stripe.events[-1])
        answered.set()
        slow.result()
    assert till.standing(reference) == ("paid", 15 * EUR)
    with till.database.session() as session:
        account = session.get_one(Account, till.account_id)
        changes = [line.amount for line in ledger_pages.page(session, account, Wanted()).lines]
    assert changes == [15 * EUR]


def test_refund_and_payment_as_they_happen(till: Till) -> None:
    reference = till.by_card(20 * EUR)
    intent = till.stripe.pay(reference)
    till.tell()
    till.stripe.refund(intent, 500)
    till.tell()
    assert till.standing(reference) == ("paid", 15 * EUR)
    till.stripe.refund(intent, 1500)
    till.tell()
    assert till.standing(reference) == ("reversed", 0)
    assert till.available() == 0
    assert till.notices() == ["deposit.paid", "deposit.reversed", "deposit.reversed"]


def test_a_refund_that_failed_is_credited_again(till: Till) -> None:
    reference = till.by_card(20 * EUR)
    intent = till.stripe.pay(reference)
    till.stripe.refund(intent, 2000)
    till.tell()
    till.stripe.refund_failed(intent, 2000)
    till.tell()
    assert till.standing(reference) == ("paid", 20 * EUR)


@pytest.mark.parametrize(("outcome", "left"), [("won", 20 * EUR), ("lost", 0)])
def test_dispute(till: Till, outcome: str, left: int) -> None:
    reference = till.by_card(20 * EUR)
    intent = till.stripe.pay(reference)
    till.tell()
    dispute = till.stripe.dispute(intent, 2000)
    till.tell()
    assert till.standing(reference) == ("reversed", 0)
    till.stripe.close(dispute, outcome)
    till.tell()
    assert till.available() == left
    assert till.sound()


def test_an_inquiry_takes_nothing(till: Till) -> None:
    intent = till.stripe.pay(till.by_card(20 * EUR))
    till.stripe.dispute(intent, 2000, "warning_needs_response")
    till.tell()
    assert till.available() == 20 * EUR


def test_what_was_spent_is_owed(till: Till) -> None:
    """The balance falls below zero; a refund and a dispute of the same money count once."""
    intent = till.stripe.pay(till.by_card(20 * EUR))
    till.tell()
    with till.database.transaction() as session:
        ledger.charge_fee(session, till.account_id, 15 * EUR, reference="spent")
    till.stripe.refund(intent, 2000)
    till.stripe.dispute(intent, 2000)
    till.tell()
    assert till.available() == -15 * EUR
    assert till.sound()


@pytest.mark.parametrize("received", [1, 1999, 2001, 4000])
def test_what_was_really_paid(till: Till, received: int) -> None:
    reference = till.by_card(20 * EUR)
    till.stripe.pay(reference, received=received)
    till.tell()
    assert till.standing(reference) == ("paid", received * 10_000)


def test_expired_is_final_only_without_money(till: Till) -> None:
    reference = till.by_card()
    till.stripe.expire(reference)
    till.tell()
    assert till.standing(reference) == ("expired", 0)
    till.stripe.pay(reference)  # the bank was slower than the session
    till.tell()
    assert till.standing(reference) == ("paid", 20 * EUR)


def test_expired_after_paid(till: Till) -> None:
    reference = till.by_card()
    till.stripe.pay(reference)
    till.tell()
    till.stripe.expire(reference)
    till.tell()
    assert till.standing(reference) == ("paid", 20 * EUR)


def test_a_declined_card_may_be_replaced_by_another(till: Till) -> None:
    reference = till.by_card()
    till.stripe.try_and_fail(reference)
    till.tell()
    assert till.standing(reference) == ("pending", 0)


def test_another_currency_is_refused(till: Till) -> None:
    reference = till.by_card()
    till.stripe.pay(reference, currency="usd")
    with capture_logs() as logs:
        till.tell()
    assert {"deposit_in_wrong_currency"} == {line["event"] for line in logs}
    assert {"critical"} == {line["log_level"] for line in logs}
    assert till.standing(reference) == ("failed", 0)
    assert till.deposit(reference).note == "paid in USD"
    assert till.available() == 0


def test_payments_of_others_at_the_same_stripe_account(till: Till) -> None:
    intent = till.stripe._new_intent(900, "eur", "")
    till.stripe._succeed(intent, "pm_card_visa")
    stranger = till.stripe._new_intent(900, "eur", "D-NOTOURS234")
    till.stripe._succeed(stranger, "pm_card_visa")
    till.stripe._tell("customer.created", {"id": "cus_1", "object": "customer"})
    till.tell()
    assert till.available() == 0


def test_a_wrong_signature(till: Till) -> None:
    till.stripe.pay(till.by_card())
    body, headers = stripe_server.signed(till.stripe.events[0])
    for wrong in (
        (body + b" ", headers),
        (body, {}),
        (body, {"Stripe-Signature": "t=1,v1=00"}),
        (body, {"Stripe-Signature": "nonsense"}),
        stripe_server.signed(till.stripe.events[0], secret="whsec_other"),
        stripe_server.signed(till.stripe.events[0], at=time.time() - 600),
        (b"\xff\xfe", headers),
    ):
        with pytest.raises(Forged):
            till.cards.told(*wrong)


@pytest.mark.parametrize("failure", [500, 503, 401, 429, "silent"])
def test_no_answer_to_the_webhooks_question(till: Till, failure: int | str) -> None:
    """Nothing is recorded, so that the same webhook is handled when it is sent again."""
    reference = till.by_card()
    till.stripe.pay(reference)
    till.fail(failure)
    with pytest.raises(ProviderTrouble):
        till.tell(till.stripe.events[-1])
    till.fail(None)
    till.tell(till.stripe.events[-1])
    assert till.standing(reference) == ("paid", 20 * EUR)


@pytest.mark.parametrize("failure", [500, 401, "silent", "down"])
def test_no_answer_at_the_beginning(till: Till, failure: int | str) -> None:
    till.fail(failure)
    with pytest.raises(Unavailable, match="Nothing was charged"):
        till.by_card()
    with till.database.session() as session:
        (row,) = deposits.listed(session, till.account_id)
    assert (row.state, row.pay_url) == ("failed", None)


def test_a_lost_answer_makes_no_second_session(till: Till) -> None:
    till.stripe.lose_answers = 1
    reference = till.by_card()
    assert len(till.stripe.sessions) == 1
    assert till.deposit(reference).pay_url


def test_told_before_the_answer_was_stored(till: Till) -> None:
    """A crash between Stripe's answer and our row: the webhook finds it by our reference."""
    reference = till.by_card()
    with till.database.transaction() as session:
        row = deposits.get(session, None, reference)
        row.provider_reference = row.pay_url = None
    till.stripe.pay(reference)
    till.tell()
    assert till.standing(reference) == ("paid", 20 * EUR)


def test_a_lost_webhook_is_made_up_for(till: Till) -> None:
    reference = till.by_card()
    till.stripe.pay(reference)
    row = till.deposit(reference)
    settlement.refresh(till.database.transaction, till.cards, row, row.created_at)
    assert till.standing(reference) == ("paid", 20 * EUR)


@pytest.mark.parametrize(
    ("amount", "why"),
    [(4_990_000, "at least 5.00 EUR"), (5_000_010_000, "at most"), (5_001_000, "smallest unit")],
)
def test_amounts_that_cannot_be_paid(till: Till, amount: int, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        till.by_card(amount)
    assert list(caught.value.fields) == ["amount"]
    assert till.stripe.requests == []


def test_yen_have_no_decimals(till: Till) -> None:
    with till.database.transaction() as session:
        till.account_id = factories.account(session, on=factories.plan(session, currency="JPY")).id
    reference = till.by_card(1_200 * EUR)
    assert till.stripe.of(reference)["amount_total"] == 1_200
    till.stripe.pay(reference)
    till.tell()
    assert till.available() == 1_200 * EUR


def test_a_card_is_saved_when_it_has_paid(till: Till) -> None:
    reference = till.by_card(save_card=True)
    till.tell()
    with till.database.session() as session:
        assert cards.card_of(session, till.account_id) is None
    till.stripe.pay(reference)
    till.tell()
    with till.database.session() as session:
        card = cards.card_of(session, till.account_id)
    assert card is not None
    assert (card.customer_reference, card.method_reference, card.label) == (
        stripe_server.CUSTOMER,
        "pm_card_visa",
        "Visa •••• 4242",
    )


def test_a_forgotten_card_stays_forgotten(till: Till) -> None:
    intent = till.stripe.pay(till.by_card(save_card=True))
    till.tell()
    providers = {"stripe": till.cards}
    cards.forget(till.database.transaction, providers, till.account_id, actor="anna")
    assert till.stripe.detached == ["pm_card_visa"]
    till.stripe.refund(intent, 100)
    till.stripe.close(till.stripe.dispute(intent, 1900), "won")
    till.tell()
    with till.database.session() as session:
        assert cards.card_of(session, till.account_id) is None


def test_the_library_speaks_this_version() -> None:
    """The stand-in's shapes are those of this version: look at both when it changes."""
    assert stripe.api_version == "2026-10-28.endive"
