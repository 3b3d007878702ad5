"""BTCPay Server: invoices of the Greenfield API (https://docs.btcpayserver.org/API/Greenfield/v1/).

Asking: an invoice in the plan's currency, no tolerance: what is missing is missing.
Telling: webhooks, `BTCPay-Sig: sha256=` HMAC of the body; they carry no time, so an old one is told
from a repeat only by its ID, which is enough, because what counts is the invoice.
Looking: the invoice, and when more or less than its amount was paid, its payments.  Counted are
settled ones, at the invoice's exchange rate.  A payment that arrives after the invoice expired is
not counted, because the rate is no longer offered, until the operator marks the invoice as settled.
Refunds are made outside of invoices: `franking deposit reverse` follows them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import requests

from franking.money.deposits.minor_units import from_decimal, parse_decimal, to_decimal
from franking.money.deposits.provider import (
    Ask,
    Declined,
    Forged,
    Headers,
    Known,
    ProviderTrouble,
    Standing,
    Started,
    Told,
)
from franking.settings import Btcpay as Settings

TIMEOUT = (5.0, 15.0)  # seconds to connect, to wait for an answer
REFUSED = {400, 422}  # the same request will not be taken later either


class BtcpayProvider:
    name = "btcpay"
    title = "Bitcoin"
    saves_cards = False

    def __init__(self, settings: Settings, timeout: tuple[float, float] = TIMEOUT) -> None:
        self._timeout = timeout
        self._base = f"{settings.url}/api/v1/stores/{quote(settings.store_id, safe='')}/invoices"
        self._key = settings.api_key.get_secret_value()
        self._secret = settings.webhook_secret.get_secret_value().encode()

    def start(self, ask: Ask) -> Started:
        body = {
            "amount": to_decimal(ask.amount, ask.currency),
            "currency": ask.currency,
            "metadata": {"orderId": ask.reference, "itemDesc": ask.description},
            "checkout": {
                "redirectURL": ask.return_url,
                "redirectAutomatically": True,
                "paymentTolerance": 0,
            },
        }
        invoice = self._ask("POST", "", body)
        if not isinstance(invoice, dict):
            raise ProviderTrouble("btcpay: no invoice in its answer")
        return Started(_text(invoice, "id"), _text(invoice, "checkoutLink"))

    def told(self, body: bytes, headers: Headers) -> Told:
        digest = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        given = headers.get("BTCPay-Sig") or ""
        if not hmac.compare_digest(f"sha256={digest}".encode(), given.encode()):
            raise Forged("BTCPay-Sig is not of this body")
        try:
            event = json.loads(body)
            # A delivery that we did not answer with 200 comes again under another ID.
            event_id = event.get("originalDeliveryId") or event["deliveryId"]
            invoice = event.get("invoiceId")
            kind = str(event["type"])
        except (ValueError, KeyError, AttributeError) as error:
            raise Forged(f"no event: {error}") from error
        return Told(str(event_id), kind, Known(None, str(invoice) if invoice else None))

    def look(self, known: Known) -> Standing | None:
        if not known.provider_reference:
            return None
        place = f"/{quote(known.provider_reference, safe='')}"
        invoice = self._ask("GET", place)
        if not isinstance(invoice, dict):
            return None
        currency = _text(invoice, "currency").upper()
        reference = (invoice.get("metadata") or {}).get("orderId")
        try:
            paid = self._paid(invoice, place, currency)
        except (ValueError, KeyError, TypeError) as error:
            raise ProviderTrouble(f"btcpay: {error!r} in its answer") from error
        status = invoice.get("status")
        return Standing(
            reference=str(reference) if reference else None,
            provider_reference=_text(invoice, "id"),
            currency=currency,
            paid=paid,
            state={"Expired": "expired", "Invalid": "failed"}.get(str(status), "pending"),  # type: ignore[arg-type]
            reason="The payment was not confirmed." if status == "Invalid" else None,
        )

    def _paid(self, invoice: Mapping[str, Any], place: str, currency: str) -> int:
        """Micro-units that are final."""
        status, more = invoice.get("status"), invoice.get("additionalStatus")
        asked = from_decimal(parse_decimal(invoice["amount"]), currency)
        if status == "Settled":
            return max(asked, self._settled(invoice, place, currency)) if more != "None" else asked
        if status == "Expired" and more in ("PaidPartial", "PaidLate"):
            return self._settled(invoice, place, currency)
        return 0

    def _settled(self, invoice: Mapping[str, Any], place: str, currency: str) -> int:
        """What its settled payments of before its expiration are worth."""
        methods = self._ask("GET", f"{place}/payment-methods")
        by_hand = invoice.get("status") == "Settled"
        worth = Decimal(0)
        for method in methods or []:
            rate = parse_decimal(method["rate"])
            for payment in method["payments"]:
                late = payment["receivedDate"] > invoice["expirationTime"]
                if payment["status"] == "Settled" and (by_hand or not late):
                    fee = parse_decimal(payment.get("fee") or 0)
                    worth += (parse_decimal(payment["value"]) - fee) * rate
        return from_decimal(max(worth, Decimal(0)), currency)

    def _ask(self, method: str, place: str, body: object = None) -> Any:
        """The answer's JSON; None when there is no such thing."""
        try:
            answer = requests.request(
                method,
                self._base + place,
                json=body,
                headers={"Authorization": f"token {self._key}"},
                timeout=self._timeout,
                allow_redirects=False,
            )
            if answer.status_code == 404 and method == "GET":
                return None
            if answer.status_code in REFUSED and method == "POST":
                raise Declined(_complaint(answer))
            if answer.status_code != 200:
                raise ProviderTrouble(f"btcpay: HTTP {answer.status_code}")
            return answer.json()
        except requests.RequestException as error:  # invalid JSON is one, too
            raise ProviderTrouble(f"btcpay: {type(error).__name__}") from error


def _text(thing: Mapping[str, Any], name: str) -> str:
    value = thing.get(name)
    if not isinstance(value, str) or not value:
        raise ProviderTrouble(f"btcpay: no {name} in its answer")
    return value


def _complaint(answer: requests.Response) -> str:
    return f"BTCPay Server: HTTP {answer.status_code} {answer.text[:150]}"
