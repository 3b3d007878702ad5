"""`POST /payments/stripe`, `POST /payments/btcpay`: what payment providers tell.

They come without a login and without a CSRF token: the body's signature proves who sent it, and is
checked before anything else.  200 also answers repeats and what is not ours; 400 a wrong signature;
trouble of ours or of the provider's is a 500, after which the provider sends it again.
"""

from __future__ import annotations

from flask import abort, request
from flask.typing import ResponseReturnValue

from franking import log
from franking.money.deposits import settlement
from franking.money.deposits.provider import Forged, OnlineProvider, ProviderTrouble
from webpanel.access import signed
from webpanel.database import writing
from webpanel.payments.views import bp, offered

LARGEST = 256 << 10  # bytes; events have a few thousand


@bp.post("/stripe")
@signed
def stripe() -> ResponseReturnValue:
    return _take("stripe")


@bp.post("/btcpay")
@signed
def btcpay() -> ResponseReturnValue:
    return _take("btcpay")


def _take(name: str) -> ResponseReturnValue:
    provider = offered().get(name)
    if not isinstance(provider, OnlineProvider):
        abort(404)
    body = request.get_data(cache=False)
    if len(body) > LARGEST:
        return _plain("too large", 413)
    try:
        told = provider.told(body, request.headers)
    except Forged as reason:
        log.webhook_forged(name, request.remote_addr, str(reason))
        return _plain("wrong signature", 400)
    try:
        settlement.apply(writing, provider, told)
    except ProviderTrouble as error:
        log.payment_provider_trouble(name, error)
        return _plain("try again", 500)
    return _plain("ok", 200)


def _plain(text: str, status: int) -> ResponseReturnValue:
    return f"{text}\n", status, {"Content-Type": "text/plain; charset=utf-8"}
