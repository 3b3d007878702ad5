"""Automatic top-up: the saved card is charged once for each time that it should be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from franking.accounts.models import Account
from franking.db import Database
from franking.money import ledger
from franking.money.billing.preferences import change, preferences
from franking.money.deposits import cards, deposits, pending, topup
from franking.money.deposits.models import Deposit
from franking.money.deposits.provider import Card
from franking.money.deposits.providers import charging_cards, offered, online
from franking.notices.models import Notice
from franking.reasons import Invalid
from franking.settings import Stripe
from tests import factories

from .conftest import EUR, Till

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def low(till: Till) -> Till:
    """3 EUR are left, 5 are wanted, the card on file is good for 20."""
    with till.database.transaction() as session:
        ledger.deposit(session, till.account_id, 3 * EUR, reference="first")
        settings(till, session)
        save(till, session)
    return till


def settings(till: Till, session, below: int = 5 * EUR, amount: int = 20 * EUR) -> None:  # type: ignore[no-untyped-def]
    account = session.get_one(Account, till.account_id)
    change(session, account, topup_below=below, topup_amount=amount)


def save(till: Till, session, method: str = "pm_card_visa") -> None:  # type: ignore[no-untyped-def]
    cards.save(session, till.account_id, Card("cus_1", method, "Visa •••• 4242"), START)


def run(till: Till, now: datetime = START) -> list[Deposit]:
    """All automatic deposits after one round, the first first."""
    topup.run(till.database.transaction, till.cards, till.settings, now)
    with till.database.session() as session:
        return list(session.scalars(select(Deposit).where(Deposit.automatic).order_by(Deposit.id)))


def failures(till: Till) -> int:
    with till.database.session() as session:
        return preferences(session, till.account_id).topup_failures


def test_the_webhook_credits_it(low: Till) -> None:
    (made,) = run(low)
    assert (made.state, made.provider_reference) == ("pending", next(iter(low.stripe.intents)))
    assert low.available() == 3 * EUR
    low.tell()
    low.tell()
    assert low.available() == 23 * EUR
    assert len(run(low, START + HOUR)) == 1
    assert low.notices() == ["deposit.paid"]
    assert low.sound()


def test_one_at_a_time(low: Till) -> None:
    run(low)
    assert len(run(low, START + HOUR)) == 1
    assert len(low.stripe.intents) == 1


def test_two_workers_at_once(low: Till) -> None:
    databases = [Database(low.settings.database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        works = [
            pool.submit(topup.run, each.transaction, low.cards, low.settings, START)
            for each in databases
        ]
        for work in works:
            work.result()
    for each in databases:
        each.close()
    assert len(low.stripe.intents) == 1
    low.tell()
    assert low.available() == 23 * EUR


@pytest.mark.parametrize("lacking", ["card", "wish", "need", "activity"])
def test_nothing_is_due(low: Till, lacking: str) -> None:
    with low.database.transaction() as session:
        account = session.get_one(Account, low.account_id)
        if lacking == "card":
            session.delete(cards.card_of(session, account.id))
        elif lacking == "wish":
            change(session, account, topup_below=None)
        elif lacking == "need":
            ledger.deposit(session, account.id, 2 * EUR, reference="enough")
        else:
            account.status = "suspended"
    assert run(low) == []
    assert low.stripe.requests == []


def test_failures_pause_and_then_stop(low: Till) -> None:
    with low.database.transaction() as session:
        save(low, session, "pm_card_declined")
    now = START
    for count, pause in ((1, HOUR), (2, 24 * HOUR)):
        made = run(low, now)
        assert [row.state for row in made] == ["failed"] * count
        assert made[-1].note == "Your card was declined."
        low.tell()  # that it failed is told by a webhook, too
        assert failures(low) == count
        assert len(run(low, now + pause - timedelta(seconds=1))) == count
        now += pause
    assert len(run(low, now)) == failures(low) == 3
    assert len(run(low, now + 1000 * HOUR)) == 3
    assert low.available() == 3 * EUR
    with low.database.session() as session:
        told = session.scalars(select(Notice).order_by(Notice.id)).all()
    assert [notice.kind for notice in told] == ["topup.failed"] * 3
    assert [notice.detail["switched_off"] for notice in told] == [False, False, True]


def test_a_change_of_the_settings_begins_anew(low: Till) -> None:
    with low.database.transaction() as session:
        save(low, session, "pm_card_authenticationRequired")
    for hours in (0, 1, 25):
        run(low, START + hours * HOUR)
    assert failures(low) == 3
    with low.database.transaction() as session:
        settings(low, session)
        save(low, session)
    assert len(run(low, START + 26 * HOUR)) == 4
    low.tell()
    assert low.available() == 23 * EUR
    assert failures(low) == 0


@pytest.mark.parametrize("how", ["dispute", "refund"])
def test_what_was_taken_back_is_not_charged_again(low: Till, how: str) -> None:
    run(low)
    low.tell()
    (intent,) = low.stripe.intents.values()
    getattr(low.stripe, how)(intent, 2000)
    low.tell()
    assert low.available() == 3 * EUR
    assert len(run(low, START + HOUR)) == len(low.stripe.intents) == 1
    with low.database.transaction() as session:
        assert preferences(session, low.account_id).topup_amount is None
        settings(low, session)
    assert len(run(low, START + HOUR)) == 2


def test_who_rests_after_a_failure_keeps_nobody_waiting(low: Till) -> None:
    with low.database.transaction() as session:
        own = change(session, session.get_one(Account, low.account_id))
        own.topup_last_at = START - timedelta(minutes=10)
        for number in range(topup.BATCH):
            other = factories.account(session)
            failing = change(session, other, topup_below=5 * EUR, topup_amount=20 * EUR)
            failing.topup_failures, failing.topup_last_at = 2, START - 2 * HOUR
            cards.save(session, other.id, Card(f"cus_x{number}", "pm_x", None), START)
    (made,) = run(low)
    assert made.account_id == low.account_id


@pytest.mark.parametrize("lost", ["the answer", "the request"])
def test_no_answer_and_then_the_same_again(low: Till, lost: str) -> None:
    """Whether it was charged is not known; the same key charges it once."""
    if lost == "the answer":
        low.stripe.lose_answers = 2  # the library asks twice itself
    else:
        low.stripe.failure = 503
    (made,) = run(low)
    assert (made.state, made.provider_reference) == ("pending", None)
    low.stripe.failure = None
    assert len(run(low, START + timedelta(seconds=30))) == 1
    (made,) = run(low, START + timedelta(minutes=2))
    assert made.provider_reference == next(iter(low.stripe.intents))
    assert len(low.stripe.intents) == 1
    low.tell()
    assert low.available() == 23 * EUR
    assert failures(low) == 0


def test_given_up_when_the_key_may_be_forgotten(low: Till) -> None:
    low.stripe.failure = 503
    run(low)
    low.stripe.failure = None
    made = run(low, START + 21 * HOUR)
    assert [row.state for row in made] == ["failed"]
    assert low.stripe.intents == {}


def test_charged_after_all(low: Till) -> None:
    """We gave up, Stripe had charged it: what its webhook says is credited."""
    low.stripe.lose_answers = 2
    run(low)
    assert run(low, START + 21 * HOUR)[0].state == "failed"
    low.tell()
    assert low.available() == 23 * EUR
    assert run(low, START + 22 * HOUR)[0].state == "paid"


def test_the_webhook_of_a_slow_payment(low: Till) -> None:
    with low.database.transaction() as session:
        save(low, session, "pm_card_processing")
    run(low)
    low.tell()
    assert low.available() == 3 * EUR
    assert len(run(low, START + 48 * HOUR)) == 1
    low.stripe.finish(next(iter(low.stripe.intents.values())))
    low.tell()
    assert low.available() == 23 * EUR


def test_a_card_that_was_removed_meanwhile(low: Till) -> None:
    low.stripe.failure = 503
    run(low)
    cards.forget(low.database.transaction, {}, low.account_id, actor="anna")
    low.stripe.failure = None
    assert [row.state for row in run(low, START + HOUR)] == ["failed"]
    assert low.stripe.intents == {}


def test_an_amount_that_cannot_be_charged(low: Till) -> None:
    bounds = low.settings.deposits
    for amount in (1 * EUR, 10**10, 5 * EUR + 1):
        with pytest.raises(Invalid) as caught:
            topup.check_amount(amount, "EUR", bounds)
        assert list(caught.value.fields) == ["topup_amount"]
    topup.check_amount(5 * EUR, "EUR", bounds)
    with low.database.transaction() as session:
        settings(low, session, amount=5 * EUR + 1)
    assert [row.state for row in run(low)] == ["failed"]
    assert low.stripe.requests == []


def test_what_is_offered(till: Till) -> None:
    everything = till.settings.model_copy(
        update={"deposits": till.settings.deposits.model_copy(update={"bank_transfer": "IBAN"})}
    )
    providers = offered(everything)
    assert list(providers) == ["stripe", "btcpay", "manual"]
    assert list(online(providers)) == ["stripe", "btcpay"]
    assert charging_cards(providers) is providers["stripe"]
    without = till.settings.model_copy(update={"stripe": Stripe()})
    assert list(offered(without)) == ["btcpay"]


def test_pending_payments_are_asked_about(till: Till) -> None:
    """Without any webhook; each at most once in ten minutes."""
    reference = till.by_card()
    till.stripe.pay(reference)
    other = till.begin(till.coins)
    begun = till.deposit(reference).created_at
    transaction, providers = till.database.transaction, online(offered(till.settings))
    for minutes in (5, 11, 12, 13):
        pending.look_after(transaction, providers, begun + timedelta(minutes=minutes))
    assert till.standing(reference) == ("paid", 20 * EUR)
    assert till.standing(other) == ("pending", 0)
    assert len([path for _, path in till.btcpay.requests]) == 2
    pending.look_after(transaction, providers, begun + timedelta(days=8))
    assert till.standing(other) == ("expired", 0)


def test_one_that_cannot_be_asked_about_does_not_stop_the_others(till: Till) -> None:
    reference = till.by_card()
    till.begin(till.coins)
    till.stripe.pay(reference)
    till.btcpay.failure = 500
    later = till.deposit(reference).created_at + timedelta(minutes=11)
    pending.look_after(till.database.transaction, online(offered(till.settings)), later)
    assert till.standing(reference) == ("paid", 20 * EUR)


def test_a_bank_transfer_may_take_weeks(till: Till) -> None:
    manual = till.settings.deposits.model_copy(update={"bank_transfer": "IBAN"})
    provider = offered(till.settings.model_copy(update={"deposits": manual}))["manual"]
    made = deposits.begin(
        till.database.transaction, till.settings, provider, till.account_id, 20 * EUR, actor="anna"
    )
    for days, state in ((59, "pending"), (61, "expired")):
        now = made.created_at + timedelta(days=days)
        pending.look_after(till.database.transaction, {}, now)
        assert till.standing(made.reference) == (state, 0)
