"""`/`: balance, today's counts (UTC), recent problems, connection data."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounts.models import Account
from franking.db import utcnow
from franking.mail import messages
from franking.money import ledger, pricing
from franking.reasons import NotFound
from franking.settings import Settings
from webpanel.advice import advice, explanation
from webpanel.database import reading

bp = Blueprint("overview", __name__)
COUNTED = ("accepted", "delivered", "deferred", "bounced", "rejected")
PROBLEMS = ("rejected", "bounced", "expired")
IMPLICIT_TLS = "TLS from the first byte (SSL/TLS)"
STARTTLS = "STARTTLS"


@bp.get("/")
def index() -> ResponseReturnValue:
    account, now = current_user.account, utcnow()
    balance = ledger.balance(reading, account.id)
    price = _price(account, now)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    problems = messages.recent_events(reading, account, PROBLEMS, limit=5)
    return render_template(
        "overview/index.html",
        balance=balance,
        price=price,
        left=balance.available // price if price else None,
        currency=account.plan.currency,
        today=today,
        counts=messages.counts_since(reading, account.id, today),
        counted=COUNTED,
        problems=[(event, advice(event), explanation(event)) for event in problems],
        **connection(),
    )


def _price(account: Account, now: datetime) -> int | None:
    """Micro-units for one message; None while the plan has no price."""
    try:
        return pricing.price_at(reading, account.plan_id, now).unit_price
    except NotFound:
        return None


def connection() -> dict[str, object]:
    """What a mail program has to be told."""
    settings: Settings = current_app.extensions["franking.settings"]
    modes = [
        (settings.smtp.ports[name], IMPLICIT_TLS if listener.tls == "implicit" else STARTTLS)
        for name, listener in settings.listeners.for_submission().items()
        if name in settings.smtp.ports
    ]
    return {"smtp_host": settings.smtp.host, "smtp_ports": modes}
