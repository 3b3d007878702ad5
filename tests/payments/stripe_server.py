"""Stripe, as far as we use it: Checkout Sessions, PaymentIntents, charges, disputes, webhooks.

Shapes are those of API version 2026-10-28, shortened.  What customers, banks and the operator do
are methods; each adds its events to `events`, in Stripe's order.  How a card behaves is in the
name of its payment method, as with Stripe's own test cards: `pm_card_visa`, `pm_card_declined`,
`pm_card_authenticationRequired`, `pm_card_processing`.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from tests.payments.local_server import Answer, LocalServer

KEY = "sk_test_51Local"
WEBHOOK_SECRET = "whsec_local"
CUSTOMER = "cus_R4local"
Json = dict[str, Any]


def signed(event: Json, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> Any:
    """Body and headers of the webhook."""
    body = json.dumps(event).encode()
    moment = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={moment},v1={digest},v0=ignored",
    }


class StripeServer(LocalServer):
    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, Json] = {}
        self.intents: dict[str, Json] = {}
        self.charges: dict[str, Json] = {}
        self.disputes: dict[str, Json] = {}
        self.detached: list[str] = []
        self.events: list[Json] = []
        self.keys: dict[str, tuple[bytes, int, object]] = {}
        self.lose_answers = 0  # so many requests are carried out, and answered with an error
        self._numbers = itertools.count(1)

    # What the API answers.

    def answer(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: bytes,
        headers: Mapping[str, str],
    ) -> object:
        if headers.get("Authorization") != f"Bearer {KEY}":
            raise Answer(401, {"error": {"type": "invalid_request_error", "message": "bad key"}})
        assert path.startswith("/v1/")
        if method == "GET":
            return self._get(path.removeprefix("/v1/"), parameters)
        key = headers.get("Idempotency-Key", "")
        if key not in self.keys:
            try:
                self.keys[key] = (body, 200, self._post(path.removeprefix("/v1/"), body))
            except Answer as refusal:
                self.keys[key] = (body, refusal.status, refusal.body)
        known, status, said = self.keys[key]
        if known != body:
            raise Answer(400, _error("idempotency_error", "Keys can only be used with the same"))
        if self.lose_answers:
            self.lose_answers -= 1
            raise Answer(503, {"error": {"type": "api_error", "message": "lost"}})
        if status != 200:
            raise Answer(status, said)
        return said

    def _get(self, path: str, parameters: Mapping[str, str]) -> object:
        kind, _, name = path.rpartition("/")
        if path == "disputes":
            intent = parameters["payment_intent"]
            found = [d for d in self.disputes.values() if d["payment_intent"] == intent]
            return {"object": "list", "data": found, "has_more": False, "url": "/v1/disputes"}
        store = {"checkout/sessions": self.sessions, "payment_intents": self.intents}[kind]
        if name not in store:
            raise Answer(404, _error("invalid_request_error", f"No such thing: '{name}'"))
        thing = dict(store[name])
        if parameters.get("expand[0]") == "latest_charge" and thing["latest_charge"]:
            thing["latest_charge"] = self.charges[thing["latest_charge"]]
        return thing

    def _post(self, path: str, body: bytes) -> object:
        form = dict(parse_qsl(body.decode()))
        if path == "checkout/sessions":
            return self._new_session(form)
        if path == "payment_intents":
            return self._charge_off_session(form)
        assert path.endswith("/detach"), path
        self.detached.append(path.split("/")[1])
        return {"id": path.split("/")[1], "object": "payment_method", "customer": None}

    def _new_session(self, form: Mapping[str, str]) -> Json:
        amount = int(form["line_items[0][price_data][unit_amount]"])
        if amount < 50:
            raise Answer(400, _error("invalid_request_error", "Amount must be at least 50"))
        name = f"cs_test_{next(self._numbers)}"
        session = {
            "id": name,
            "object": "checkout.session",
            "amount_total": amount,
            "client_reference_id": form["client_reference_id"],
            "currency": form["line_items[0][price_data][currency]"],
            "customer": form.get("customer"),
            "mode": form["mode"],
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "url": f"https://checkout.stripe.com/c/pay/{name}",
            "success_url": form["success_url"],
        }
        session["_mark"] = form["payment_intent_data[metadata][franking_deposit]"]
        session["_save"] = form.get("payment_intent_data[setup_future_usage]")
        self.sessions[name] = session
        return session

    def _charge_off_session(self, form: Mapping[str, str]) -> Json:
        assert form["off_session"] == form["confirm"] == "true"
        mark = form["metadata[franking_deposit]"]
        intent = self._new_intent(int(form["amount"]), form["currency"], mark)
        intent["customer"] = form["customer"]
        method = form["payment_method"]
        if method == "pm_card_visa":
            self._succeed(intent, method)
        elif method == "pm_card_processing":
            intent["status"] = "processing"
            self._tell("payment_intent.processing", intent)
        else:
            code = "authentication_required" if "auth" in method else "card_declined"
            error = _error("card_error", "Your card was declined.", code)
            intent["status"] = "requires_payment_method"
            intent["last_payment_error"] = dict(error["error"])
            self._tell("payment_intent.payment_failed", intent)
            error["error"]["payment_intent"] = dict(intent)
            raise Answer(402, error)
        return intent

    def _new_intent(self, amount: int, currency: str, mark: str) -> Json:
        name = f"pi_{next(self._numbers)}"
        self.intents[name] = {
            "id": name,
            "object": "payment_intent",
            "amount": amount,
            "amount_received": 0,
            "currency": currency,
            "customer": None,
            "last_payment_error": None,
            "latest_charge": None,
            "metadata": {"franking_deposit": mark},
            "payment_method": None,
            "setup_future_usage": None,
            "status": "requires_payment_method",
        }
        return self.intents[name]

    def _succeed(self, intent: Json, method: str, received: int | None = None) -> None:
        amount = intent["amount"] if received is None else received
        charge = {
            "id": f"ch_{next(self._numbers)}",
            "object": "charge",
            "amount": amount,
            "amount_captured": amount,
            "amount_refunded": 0,
            "currency": intent["currency"],
            "disputed": False,
            "metadata": dict(intent["metadata"]),
            "payment_intent": intent["id"],
            "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
            "refunded": False,
            "status": "succeeded",
        }
        self.charges[charge["id"]] = charge
        intent.update(status="succeeded", amount_received=amount, latest_charge=charge["id"])
        intent.update(payment_method=method, last_payment_error=None)
        self._tell("charge.succeeded", charge)
        self._tell("payment_intent.succeeded", intent)

    def _tell(self, kind: str, thing: Json) -> None:
        shown = {name: value for name, value in thing.items() if not name.startswith("_")}
        event = {
            "id": f"evt_{next(self._numbers)}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()),
            "data": {"object": json.loads(json.dumps(shown))},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.events.append(event)

    # What people do.

    def of(self, reference: str) -> Json:
        """The session that was made for our reference."""
        return next(s for s in self.sessions.values() if s["client_reference_id"] == reference)

    def pay(self, reference: str, *, received: int | None = None, currency: str = "") -> Json:
        """At the payment page; `received` of it was captured."""
        session = self.of(reference)
        intent = self._new_intent(session["amount_total"], session["currency"], session["_mark"])
        if currency:
            intent["currency"] = currency
        if session["_save"]:
            intent.update(
                customer=session["customer"] or CUSTOMER, setup_future_usage="off_session"
            )
        self._succeed(intent, "pm_card_visa", received)
        session.update(payment_intent=intent["id"], payment_status="paid", status="complete")
        self._tell("checkout.session.completed", session)
        return intent

    def try_and_fail(self, reference: str) -> None:
        """A declined card at the payment page, which stays open."""
        session = self.of(reference)
        intent = self._new_intent(session["amount_total"], session["currency"], session["_mark"])
        intent["last_payment_error"] = {"type": "card_error", "message": "Your card was declined."}
        session["payment_intent"] = intent["id"]
        self._tell("payment_intent.payment_failed", intent)

    def expire(self, reference: str) -> None:
        session = self.of(reference)
        session["status"] = "expired"
        self._tell("checkout.session.expired", session)

    def finish(self, intent: Json) -> None:
        """A payment that was under way arrives."""
        self._succeed(intent, "pm_card_processing")

    def refund(self, intent: Json, amount: int) -> None:
        charge = self.charges[intent["latest_charge"]]
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        number = next(self._numbers)
        refund = {"id": f"re_{number}", "object": "refund", "amount": amount, "status": "succeeded"}
        refund.update(payment_intent=intent["id"], charge=charge["id"])
        self._tell("refund.created", refund)
        self._tell("charge.refunded", charge)

    def refund_failed(self, intent: Json, amount: int) -> None:
        """The customer's bank did not take it: the money is with Stripe again."""
        charge = self.charges[intent["latest_charge"]]
        charge["amount_refunded"] -= amount
        refund = {"id": "re_failed", "object": "refund", "amount": amount, "status": "failed"}
        refund.update(payment_intent=intent["id"], charge=charge["id"])
        self._tell("refund.failed", refund)

    def dispute(self, intent: Json, amount: int, status: str = "needs_response") -> Json:
        self.charges[intent["latest_charge"]]["disputed"] = True
        dispute: Json = {
            "id": f"dp_{next(self._numbers)}",
            "object": "dispute",
            "amount": amount,
            "charge": intent["latest_charge"],
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "status": status,
        }
        self.disputes[dispute["id"]] = dispute
        self._tell("charge.dispute.created", dispute)
        if not status.startswith("warning"):
            self._tell("charge.dispute.funds_withdrawn", dispute)
        return dispute

    def close(self, dispute: Json, status: str) -> None:
        dispute["status"] = status
        if status == "won":
            self._tell("charge.dispute.funds_reinstated", dispute)
        self._tell("charge.dispute.closed", dispute)

    def kept(self, reference: str) -> int:
        """What the operator has of a payment in the end, in minor units."""
        name = self.of(reference)["payment_intent"]
        if name is None or not self.intents[name]["latest_charge"]:
            return 0
        charge = self.charges[self.intents[name]["latest_charge"]]
        held: int = sum(
            int(d["amount"])
            for d in self.disputes.values()
            if d["payment_intent"] == name and d["status"] in ("needs_response", "lost")
        )
        return max(0, int(charge["amount_captured"]) - int(charge["amount_refunded"]) - held)


def _error(kind: str, message: str, code: str | None = None) -> Json:
    return {"error": {"type": kind, "message": message, "code": code}}
