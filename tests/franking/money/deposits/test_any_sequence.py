"""Whatever happens to payments, and however its webhooks arrive, the ledger ends up right."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from franking.db import Database
from franking.settings import Settings
from tests.payments import settings_for
from tests.payments.btcpay_server import BtcpayServer
from tests.payments.stripe_server import StripeServer

from .conftest import EUR, Till

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.integers(1, 3000)),
        st.tuples(st.just("refund"), st.integers(1, 3000)),
        st.tuples(st.just("dispute"), st.integers(1, 3000)),
        st.tuples(st.sampled_from(["win", "lose", "expire"]), st.just(0)),
        st.tuples(st.just("tell"), st.integers(0, 60)),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[StripeServer, BtcpayServer]]:
    with StripeServer() as stripe, BtcpayServer() as btcpay:
        yield stripe, btcpay


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, order=st.randoms(use_true_random=False))
def test_credited_is_what_stripe_finally_says(
    empty_database: Path,
    servers: tuple[StripeServer, BtcpayServer],
    steps: list[tuple[str, int]],
    order: object,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "franking.db"
        shutil.copy(empty_database, path)
        database = Database(f"sqlite:///{path}")
        stripe, btcpay = servers
        stripe.__dict__.update({"sessions": {}, "intents": {}, "charges": {}, "disputes": {}})
        stripe.events, stripe.keys = [], {}
        own = settings_for(Settings(), stripe.url, btcpay.url)
        till = Till(database, own, stripe, btcpay)
        try:
            reference = till.by_card(20 * EUR)
            for step, number in steps:
                happen(till, reference, step, number)
            rest = stripe.events + stripe.events[::3]
            order.shuffle(rest)  # type: ignore[attr-defined]
            till.tell(*rest) if rest else None
            assert till.standing(reference)[1] == stripe.kept(reference) * 10_000
            assert till.available() == till.standing(reference)[1]
            assert till.sound()
        finally:
            database.close()


def happen(till: Till, reference: str, step: str, number: int) -> None:
    """A step that is not possible now is none."""
    stripe = till.stripe
    session = stripe.of(reference)
    intent = stripe.intents.get(session["payment_intent"])
    events = stripe.events
    if step == "pay" and intent is None:
        stripe.pay(reference, received=number)
    elif step == "expire" and intent is None:
        stripe.expire(reference)
    elif step == "tell" and events:
        told = events[number % len(events)]
        till.tell(told)
        if not told.pop("old", False):
            assert till.standing(reference)[1] == stripe.kept(reference) * 10_000
        told["old"] = True
    elif intent is None:
        return
    elif step == "refund":
        charge = stripe.charges[intent["latest_charge"]]
        left = charge["amount"] - charge["amount_refunded"]
        if left:
            stripe.refund(intent, min(number, left))
    elif step == "dispute":
        stripe.dispute(intent, min(number, intent["amount_received"]))
    elif step in ("win", "lose"):
        still = [d for d in stripe.disputes.values() if d["status"] == "needs_response"]
        if still:
            stripe.close(still[0], "won" if step == "win" else "lost")
