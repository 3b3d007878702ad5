"""`/payments/<reference>`: one payment, before and after the customer was at the provider.

The way to the provider is a link on this page, not a redirect from the form that began the
payment: `form-action 'self'` of our content security policy holds for such redirects, too.
"""

from __future__ import annotations

from typing import cast

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking import log
from franking.db import utcnow
from franking.money.deposits import deposits, settlement
from franking.money.deposits.models import Deposit
from franking.money.deposits.provider import OnlineProvider, Provider, ProviderTrouble
from webpanel.database import reading, writing

bp = Blueprint("payments", __name__, url_prefix="/payments")
AGAIN = 5  # seconds after which a look may be repeated: the page can be reloaded at will


def offered() -> dict[str, Provider]:
    return cast("dict[str, Provider]", current_app.extensions["franking.providers"])


@bp.get("/<reference>")
def show(reference: str) -> ResponseReturnValue:
    deposit = deposits.get(reading, current_user.account, reference)
    returned = "returned" in request.args
    if returned and deposit.state == "pending":
        deposit = _asked_about(deposit)
    settings = current_app.extensions["franking.settings"]
    provider = offered().get(deposit.provider)
    return render_template(
        "payments/show.html",
        deposit=deposit,
        returned=returned,
        provider=provider.title if provider else deposit.provider,
        bank_transfer=settings.deposits.bank_transfer if deposit.provider == "manual" else "",
    )


def _asked_about(deposit: Deposit) -> Deposit:
    """As the provider says now: the customer is often back before the webhook is here."""
    provider = offered().get(deposit.provider)
    checked = deposit.checked_at
    if not isinstance(provider, OnlineProvider):
        return deposit
    if checked is not None and (utcnow() - checked).total_seconds() < AGAIN:
        return deposit
    reading.expunge(deposit)
    reading.rollback()  # the provider may take its time
    try:
        return settlement.refresh(writing, provider, deposit, utcnow()) or deposit
    except ProviderTrouble as error:
        log.payment_provider_trouble(provider.name, error)
        return deposit
