"""Payments by BTCPay Server, over the real protocol to a stand-in on this machine."""

from __future__ import annotations

import itertools

import pytest
from structlog.testing import capture_logs

from franking.money.deposits import deposits
from franking.money.deposits.provider import Forged, ProviderTrouble, Unavailable
from franking.reasons import Invalid
from tests.payments import btcpay_server

from .conftest import EUR, Till


@pytest.fixture
def reference(till: Till) -> str:
    return till.begin(till.coins, 20 * EUR)


def test_a_payment_is_credited_when_it_is_settled(till: Till, reference: str) -> None:
    name = till.btcpay.of(reference)
    assert till.deposit(reference).pay_url == f"{till.btcpay.url}/i/{name}"
    till.btcpay.send(name, "20")
    till.tell_of_coins()
    assert till.standing(reference) == ("pending", 0)
    till.btcpay.confirm(name)
    till.tell_of_coins()
    till.tell_of_coins()
    assert till.standing(reference) == ("paid", 20 * EUR)
    assert till.available() == 20 * EUR
    assert till.notices() == ["deposit.paid"]
    assert till.sound()


def test_what_it_is_asked_for(till: Till, reference: str) -> None:
    invoice = till.btcpay.invoices[till.btcpay.of(reference)]
    assert (invoice["amount"], invoice["currency"]) == ("20.00", "EUR")
    assert invoice["checkout"]["paymentTolerance"] == 0
    assert invoice["checkout"]["redirectURL"].endswith(f"/payments/{reference}?returned=1")


def test_every_order_of_its_events(till: Till) -> None:
    for order in itertools.permutations(range(4)):
        reference = till.begin(till.coins, 20 * EUR)
        name = till.btcpay.of(reference)
        till.btcpay.events.clear()
        till.btcpay.send(name, "20")
        till.btcpay.confirm(name)
        assert len(till.btcpay.events) == 4
        till.tell_of_coins(*(till.btcpay.events[place] for place in order))
        assert till.standing(reference) == ("paid", 20 * EUR), order
    assert till.sound()


def test_a_redelivery_is_a_repeat(till: Till, reference: str) -> None:
    till.btcpay.send(till.btcpay.of(reference), "20")
    till.tell_of_coins()
    before = len(till.btcpay.requests)
    till.tell_of_coins(*(btcpay_server.again(event) for event in till.btcpay.events))
    assert len(till.btcpay.requests) == before


def test_partly_paid(till: Till, reference: str) -> None:
    """What arrived in time is credited when the invoice is closed, and only what is confirmed."""
    name = till.btcpay.of(reference)
    till.btcpay.send(name, "12.349")
    till.btcpay.expire(name)
    till.tell_of_coins()
    assert till.standing(reference) == ("expired", 0)
    till.btcpay.confirm(name)
    till.tell_of_coins()
    assert till.standing(reference) == ("paid", 12_340_000)
    assert till.deposit(reference).amount == 20 * EUR


def test_paid_too_much(till: Till, reference: str) -> None:
    name = till.btcpay.of(reference)
    till.btcpay.send(name, "33.00")
    till.btcpay.confirm(name)
    till.tell_of_coins()
    assert till.standing(reference) == ("paid", 33 * EUR)


def test_paid_too_late_waits_for_the_operator(till: Till, reference: str) -> None:
    """The invoice's exchange rate was offered until it expired."""
    name = till.btcpay.of(reference)
    till.btcpay.expire(name)
    till.btcpay.send(name, "20", late=True)
    till.btcpay.confirm(name)
    till.tell_of_coins()
    assert till.standing(reference) == ("expired", 0)
    till.btcpay.mark(name, "Settled")
    till.tell_of_coins()
    assert till.standing(reference) == ("paid", 20 * EUR)


def test_settled_and_then_invalid(till: Till, reference: str) -> None:
    name = till.btcpay.of(reference)
    till.btcpay.send(name, "20")
    till.btcpay.confirm(name)
    till.tell_of_coins()
    till.btcpay.mark(name, "Invalid")
    till.tell_of_coins()
    assert till.standing(reference) == ("reversed", 0)
    assert till.available() == 0
    assert till.sound()


def test_never_confirmed(till: Till, reference: str) -> None:
    till.btcpay.send(till.btcpay.of(reference), "20")
    till.btcpay.mark(till.btcpay.of(reference), "Invalid")
    till.tell_of_coins()
    assert till.standing(reference) == ("failed", 0)


def test_a_refund_is_booked_by_hand(till: Till, reference: str) -> None:
    name = till.btcpay.of(reference)
    till.btcpay.send(name, "20")
    till.btcpay.confirm(name)
    till.tell_of_coins(till.btcpay.events[-1])
    with till.database.transaction() as session:
        row = deposits.get(session, None, reference)
        deposits.reverse(session, row, 5 * EUR, note="pull payment 12", actor="cli:root")
    till.tell_of_coins()  # what BTCPay Server says of the invoice has not changed
    assert till.standing(reference) == ("paid", 15 * EUR)
    with pytest.raises(Invalid, match=r"15\.00 EUR of it are credited"), \
            till.database.transaction() as session:  # fmt: skip
        row = deposits.get(session, None, reference)
        deposits.reverse(session, row, 16 * EUR, note="again", actor="cli:root")


def test_anothers_invoice_with_our_reference(till: Till, reference: str) -> None:
    """Whoever may create invoices in the store cannot have one counted for ours."""
    other = till.btcpay._new(
        {
            "amount": "20",
            "currency": "EUR",
            "metadata": {"orderId": reference},
            "checkout": {},
        }
    )["id"]
    till.btcpay.send(other, "20")
    till.btcpay.confirm(other)
    till.tell_of_coins()
    assert till.standing(reference) == ("pending", 0)


def test_another_shops_invoice_is_none_of_our_business(till: Till) -> None:
    asked = {"amount": "20", "currency": "EUR", "metadata": {"orderId": "4711"}, "checkout": {}}
    till.btcpay._new(asked)
    with capture_logs() as logs:
        till.tell_of_coins()
    assert logs == []
    assert len(till.btcpay.requests) == 1


def test_an_invoice_with_our_mark_that_is_not_ours(till: Till) -> None:
    """Such as one of before the database was restored."""
    mark = {"orderId": "D-7K2M9QX4TC"}
    till.btcpay._new({"amount": "20", "currency": "EUR", "metadata": mark, "checkout": {}})
    with capture_logs() as logs:
        till.tell_of_coins()
    assert [line["event"] for line in logs] == ["deposit_unknown"]


def test_told_before_the_answer_was_stored(till: Till, reference: str) -> None:
    with till.database.transaction() as session:
        row = deposits.get(session, None, reference)
        row.provider_reference = row.pay_url = None
    till.btcpay.send(till.btcpay.of(reference), "20")
    till.btcpay.confirm(till.btcpay.of(reference))
    till.tell_of_coins(till.btcpay.events[-1])
    assert till.standing(reference) == ("paid", 20 * EUR)


def test_a_wrong_signature(till: Till, reference: str) -> None:
    event = till.btcpay.events[0]
    body, headers = btcpay_server.signed(event)
    for wrong in (
        (body + b" ", headers),
        (body, {}),
        (body, {"BTCPay-Sig": "sha256="}),
        (body, {"BTCPay-Sig": headers["BTCPay-Sig"].removeprefix("sha256=")}),
        (body, {"BTCPay-Sig": "sha256=Ã"}),
        btcpay_server.signed(event, secret="another"),
        btcpay_server.signed({"type": "InvoiceSettled"}),
        btcpay_server.signed([]),  # type: ignore[arg-type]
    ):
        with pytest.raises(Forged):
            till.coins.told(*wrong)


def test_the_consoles_test_event_is_about_nothing(till: Till) -> None:
    event = {
        "deliveryId": "d", "type": "InvoiceSettled", "invoiceId": "__test__x__test__",
        "storeId": btcpay_server.STORE,
    }  # fmt: skip
    till.tell_of_coins(event)
    assert till.available() == 0


@pytest.mark.parametrize("failure", [500, 401, 403, "silent"])
def test_no_answer(till: Till, reference: str, failure: int | str) -> None:
    till.btcpay.send(till.btcpay.of(reference), "20")
    till.btcpay.confirm(till.btcpay.of(reference))
    till.fail(failure)
    with pytest.raises(ProviderTrouble):
        till.tell_of_coins()
    with pytest.raises(Unavailable):
        till.begin(till.coins)
    till.fail(None)
    till.tell_of_coins()
    assert till.standing(reference) == ("paid", 20 * EUR)
