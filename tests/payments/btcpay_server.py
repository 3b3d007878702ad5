"""BTCPay Server, as far as we use it: invoices of one store, their payments, webhooks.

Shapes are those of the Greenfield API v1.  One bitcoin costs 50,000 of any currency.  What
customers, the blockchain and the operator do are methods; each adds its events to `events`.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.payments.local_server import Answer, LocalServer

KEY = "d2b0c8e7local"
STORE = "9CiNzKoANXxmk5ayZngSXrHTiVvvgCrwrpFQd4m2K776"
WEBHOOK_SECRET = "btcpay-webhook-secret"
RATE = Decimal(50_000)
Json = dict[str, Any]


def signed(event: Json, *, secret: str = WEBHOOK_SECRET) -> Any:
    """Body and headers of the webhook."""
    body = json.dumps(event).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return body, {"Content-Type": "application/json", "BTCPay-Sig": f"sha256={digest}"}


def again(event: Json, number: int = 1) -> Json:
    """The same delivery once more: under an ID of its own, which says of which it is a repeat."""
    return event | {
        "deliveryId": f"{event['deliveryId']}-{number}",
        "originalDeliveryId": event["deliveryId"],
        "isRedelivery": True,
    }


class BtcpayServer(LocalServer):
    def __init__(self) -> None:
        super().__init__()
        self.invoices: dict[str, Json] = {}
        self.payments: dict[str, list[Json]] = {}
        self.events: list[Json] = []
        self._numbers = itertools.count(1)

    def answer(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: bytes,
        headers: Mapping[str, str],
    ) -> object:
        if headers.get("Authorization") != f"token {KEY}":
            raise Answer(401, {"code": "unauthenticated", "message": "Authentication is required"})
        root = f"/api/v1/stores/{STORE}/invoices"
        if not path.startswith(root):
            raise Answer(404, {"code": "store-not-found", "message": "The store was not found"})
        if method == "POST":
            return self._new(json.loads(body))
        name, _, rest = path.removeprefix(root).strip("/").partition("/")
        if name not in self.invoices:
            raise Answer(404, {"code": "invoice-not-found", "message": "The invoice was not found"})
        return self._methods(name) if rest == "payment-methods" else self.invoices[name]

    def _new(self, asked: Json) -> Json:
        if Decimal(asked["amount"]) <= 0:
            raise Answer(422, [{"path": "amount", "message": "The amount should be 0 or more."}])
        name = f"Inv{next(self._numbers)}"
        now = int(time.time())
        self.invoices[name] = {
            "id": name,
            "storeId": STORE,
            "amount": asked["amount"],
            "paidAmount": "0.0",
            "checkoutLink": f"{self.url}/i/{name}",
            "status": "New",
            "additionalStatus": "None",
            "createdTime": now,
            "expirationTime": now + 900,
            "monitoringExpiration": now + 90_000,
            "archived": False,
            "type": "Standard",
            "currency": asked["currency"],
            "metadata": asked["metadata"],
            "checkout": asked["checkout"],
        }
        self.payments[name] = []
        self._tell("InvoiceCreated", name)
        return self.invoices[name]

    def _methods(self, name: str) -> list[Json]:
        return [
            {
                "paymentMethodId": "BTC-CHAIN",
                "currency": "BTC",
                "rate": str(RATE),
                "paymentMethodFee": "0.0",
                "payments": self.payments[name],
            },
            {"paymentMethodId": "BTC-LN", "currency": "BTC", "rate": str(RATE), "payments": []},
        ]

    def _tell(self, kind: str, name: str, **more: object) -> None:
        number = next(self._numbers)
        event = {
            "deliveryId": f"delivery-{number}",
            "webhookId": "TQjRr8Mpk6tYFoSEW3mAbA",
            "originalDeliveryId": f"delivery-{number}",
            "isRedelivery": False,
            "type": kind,
            "timestamp": int(time.time()),
            "storeId": STORE,
            "invoiceId": name,
            "metadata": self.invoices[name]["metadata"],
        }
        self.events.append(event | more)

    # What people and the blockchain do.

    def of(self, reference: str) -> str:
        """The invoice that was made for our reference."""
        return next(n for n, i in self.invoices.items() if i["metadata"]["orderId"] == reference)

    def send(self, name: str, amount: str, *, late: bool = False) -> Json:
        """A payment of `amount` of the invoice's currency is seen, not confirmed yet."""
        invoice = self.invoices[name]
        payment = {
            "id": f"tx{next(self._numbers)}-0",
            "receivedDate": invoice["expirationTime"] + (60 if late else -60),
            "value": str(Decimal(amount) / RATE),
            "fee": "0.0",
            "status": "Processing",
            "destination": "bcrt1qlocal",
        }
        self.payments[name].append(payment)
        paid = self._sum(name)
        invoice["paidAmount"] = str(paid)
        asked = Decimal(invoice["amount"])
        if paid >= asked and invoice["status"] == "New":
            invoice.update(status="Processing")
            invoice.update(additionalStatus="PaidOver" if paid > asked else "None")
        elif late:
            invoice.update(additionalStatus="PaidLate" if paid >= asked else "PaidPartial")
        elif invoice["status"] == "New":
            invoice.update(additionalStatus="PaidPartial")
        self._tell("InvoiceReceivedPayment", name, afterExpiration=late)
        if invoice["status"] == "Processing":
            self._tell("InvoiceProcessing", name, overPaid=paid > asked)
        return payment

    def confirm(self, name: str) -> None:
        """All payments have enough blocks on top."""
        for payment in self.payments[name]:
            payment["status"] = "Settled"
            self._tell("InvoicePaymentSettled", name, afterExpiration=False)
        if self.invoices[name]["status"] == "Processing":
            self.invoices[name]["status"] = "Settled"
            over = self.invoices[name]["additionalStatus"] == "PaidOver"
            self._tell("InvoiceSettled", name, manuallyMarked=False, overPaid=over)

    def expire(self, name: str) -> None:
        self.invoices[name]["status"] = "Expired"
        self._tell("InvoiceExpired", name, partiallyPaid=bool(self.payments[name]))

    def mark(self, name: str, status: str) -> None:
        """The operator decides: "Settled" or "Invalid"."""
        self.invoices[name].update(status=status, additionalStatus="Marked")
        self._tell(f"Invoice{status}", name, manuallyMarked=True)

    def _sum(self, name: str) -> Decimal:
        return sum((Decimal(p["value"]) * RATE for p in self.payments[name]), Decimal(0))
