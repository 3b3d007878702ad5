"""Stripe: Checkout for payments, saved cards for automatic top-up.  Document: docs/deposits.md.

Asking: a Checkout Session in payment mode; it can be paid for 24 hours.  The idempotency key is our
reference, so a request that is repeated after a lost answer makes no second one.
Telling: webhooks, `Stripe-Signature` over the body, refused when older than five minutes.
Looking: the session, its PaymentIntent, that one's charge and disputes.  Refunds that are under way
count as made (`amount_refunded`).  A dispute counts while Stripe holds the money for it: not as an
inquiry (`warning_…`), not when it is won.  `prevented` ones are refunds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import stripe
from stripe import Charge, PaymentIntent, RequestsClient, StripeClient
from stripe.checkout import Session as Checkout

from franking.money.deposits.minor_units import from_minor, to_minor
from franking.money.deposits.provider import (
    Ask,
    Card,
    Declined,
    Forged,
    Headers,
    Known,
    ProviderTrouble,
    Standing,
    Started,
    Told,
)
from franking.settings import Stripe as Settings

MARK = "franking_deposit"  # metadata key; Stripe copies it from the intent to its charges
TIMEOUT = (5.0, 15.0)  # seconds to connect, to wait for an answer
HELD_BACK = (
    "needs_response",
    "under_review",
    "lost",
    "appeal_needs_response",
    "appeal_under_review",
)
_T = TypeVar("_T")


class StripeProvider:
    name = "stripe"
    title = "Card"
    saves_cards = True

    def __init__(self, settings: Settings, timeout: tuple[float, float] = TIMEOUT) -> None:
        self._secret = settings.webhook_secret.get_secret_value()
        self._client = StripeClient(
            settings.secret_key.get_secret_value(),
            base_addresses={"api": settings.api_base},
            http_client=RequestsClient(timeout=timeout),
            max_network_retries=1,
        )

    def start(self, ask: Ask) -> Started:
        intent: dict[str, Any] = {"metadata": {MARK: ask.reference}, "description": ask.description}
        parameters: dict[str, Any] = {
            "mode": "payment",
            "client_reference_id": ask.reference,
            "success_url": ask.return_url,
            "cancel_url": ask.return_url,
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": ask.currency.lower(),
                        "unit_amount": to_minor(ask.amount, ask.currency),
                        "product_data": {"name": ask.description},
                    },
                }
            ],
            "payment_intent_data": intent,
        }
        if ask.save_card:
            intent["setup_future_usage"] = "off_session"
            if ask.card is None:
                parameters["customer_creation"] = "always"
            else:
                parameters["customer"] = ask.card.customer_reference
        session = _asked(
            lambda: self._client.v1.checkout.sessions.create(
                cast(Any, parameters), {"idempotency_key": ask.reference}
            )
        )
        return Started(session.id, session.url)

    def charge(self, ask: Ask, card: Card) -> Started:
        parameters: dict[str, Any] = {
            "amount": to_minor(ask.amount, ask.currency),
            "currency": ask.currency.lower(),
            "customer": card.customer_reference,
            "payment_method": card.method_reference,
            "off_session": True,
            "confirm": True,
            "description": ask.description,
            "metadata": {MARK: ask.reference},
        }
        intent = _asked(
            lambda: self._client.v1.payment_intents.create(
                cast(Any, parameters), {"idempotency_key": ask.reference}
            )
        )
        return Started(intent.id, None)

    def forget(self, card: Card) -> None:
        method = card.method_reference
        if method is not None:
            _found(lambda: self._client.v1.payment_methods.detach(method))

    def told(self, body: bytes, headers: Headers) -> Told:
        try:
            event = stripe.Webhook.construct_event(
                body, headers.get("Stripe-Signature"), self._secret
            )
        except (stripe.SignatureVerificationError, ValueError) as error:
            raise Forged(str(error)) from error
        return Told(event.id, event.type, _about(event.data.object))

    def look(self, known: Known) -> Standing | None:
        session = None
        asked, paid = known.provider_reference, known.payment_reference
        if asked and asked.startswith("cs_"):
            session = _found(lambda: self._client.v1.checkout.sessions.retrieve(asked))
            if session is None:
                return None
            paid = _id(session.payment_intent)
        else:
            paid = paid or asked
        intent = None
        if paid:
            which = paid
            intent = _found(
                lambda: self._client.v1.payment_intents.retrieve(
                    which, {"expand": ["latest_charge"]}
                )
            )
        if session is None and intent is None:
            return None
        return self._standing(session, intent)

    def _standing(self, session: Checkout | None, intent: PaymentIntent | None) -> Standing:
        if intent is None:
            assert session is not None
            return Standing(
                reference=session.client_reference_id,
                provider_reference=session.id,
                currency=(session.currency or "").upper(),
                state="expired" if session.status == "expired" else "pending",
            )
        currency = intent.currency.upper()
        charge = intent.latest_charge if isinstance(intent.latest_charge, Charge) else None
        error = intent.last_payment_error
        return Standing(
            reference=_mark(intent) or (session.client_reference_id if session else None),
            provider_reference=session.id if session else intent.id,
            currency=currency,
            payment_reference=intent.id,
            paid=from_minor(intent.amount_received, currency),
            taken_back=from_minor(self._taken_back(intent, charge), currency),
            state=_state(session, intent),
            reason=error.message if error else None,
            card=_card(intent, charge),
        )

    def _taken_back(self, intent: PaymentIntent, charge: Charge | None) -> int:
        """In minor units."""
        if charge is None:
            return 0
        if not charge.disputed:
            return charge.amount_refunded
        disputes = _asked(
            lambda: self._client.v1.disputes.list({"payment_intent": intent.id, "limit": 100})
        )
        # One in another currency (the cardholder's) is about all of it.
        held = sum(
            each.amount if each.currency == intent.currency else intent.amount_received
            for each in disputes.data
            if each.status in HELD_BACK
        )
        return charge.amount_refunded + held


def _about(thing: Any) -> Known:
    """The webhook's object: a session, an intent, or what belongs to one."""
    if thing.object == "checkout.session":
        return Known(thing.client_reference_id, thing.id, _id(thing.payment_intent))
    if thing.object == "payment_intent":
        return Known(_mark(thing), None, thing.id)
    if thing.object in ("charge", "refund", "dispute"):
        return Known(None, None, _id(getattr(thing, "payment_intent", None)))
    return Known()


def _mark(thing: Any) -> str | None:
    found = getattr(thing.metadata, MARK, None)
    return str(found) if found else None


def _id(thing: Any) -> str | None:
    """References come as IDs, or expanded."""
    return thing if thing is None or isinstance(thing, str) else str(thing.id)


def _state(session: Checkout | None, intent: PaymentIntent) -> Any:
    """Of one that has not been paid: a customer on the payment page may try another card."""
    if session is not None and session.status == "open":
        return "pending"
    if session is not None and session.status == "expired":
        return "expired"
    if intent.status in ("requires_payment_method", "requires_action", "canceled"):
        return "failed"
    return "pending"


def _card(intent: PaymentIntent, charge: Charge | None) -> Card | None:
    """The card, when it was to be saved."""
    customer = _id(intent.customer)
    if intent.setup_future_usage != "off_session" or customer is None:
        return None
    label = None
    if charge is not None and charge.payment_method_details is not None:
        card = getattr(charge.payment_method_details, "card", None)
        if card is not None:
            label = f"{str(card.brand).title()} •••• {card.last4}"
    return Card(customer, _id(intent.payment_method), label)


def _asked(question: Callable[[], _T]) -> _T:
    """Stripe's errors as ours.  What is wrong with the card or the request stays wrong."""
    try:
        return question()
    except (stripe.CardError, stripe.InvalidRequestError) as error:
        about = getattr(error.error, "payment_intent", None)
        raise Declined(error.user_message or str(error), _id(about)) from error
    except stripe.StripeError as error:
        raise ProviderTrouble(f"stripe: {type(error).__name__} {error.http_status}") from error


def _found(question: Callable[[], _T]) -> _T | None:
    """None for what Stripe does not have."""
    try:
        return _asked(question)
    except Declined as reason:
        cause = reason.__cause__
        if isinstance(cause, stripe.InvalidRequestError) and cause.http_status == 404:
            return None
        raise ProviderTrouble(f"stripe: {reason}") from reason
