"""`/`: balance, today's counts (UTC), recent problems, connection data."""

from __future__ import annotations

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.db import utcnow
from franking.mail import messages
from franking.money import ledger
from franking.money.billing import forecast, position
from franking.money.terms import terms_of
from franking.settings import Settings
from webpanel.advice import advice, explanation
from webpanel.billing import words
from webpanel.database import reading

bp = Blueprint("overview", __name__)
COUNTED = ("accepted", "delivered", "deferred", "bounced", "rejected")
PROBLEMS = ("rejected", "bounced", "expired")
IMPLICIT_TLS = "TLS from the first byte (SSL/TLS)"
STARTTLS = "STARTTLS"


@bp.get("/")
def index() -> ResponseReturnValue:
    account, now = current_user.account, utcnow()
    place = position.position(reading, account, now)
    left = forecast.forecast(reading, account, now)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    problems = messages.recent_events(reading, account, PROBLEMS, limit=5)
    return render_template(
        "overview/index.html",
        balance=ledger.balance(reading, account.id),
        price=place.now.unit_price if place else None,
        left=left,
        lasts=words.lasts(left),
        waiting=position.waiting(reading, account),
        on_empty=words.on_empty(terms_of(account.plan.terms), place),
        currency=account.plan.currency,
        today=today,
        counts=messages.counts_since(reading, account.id, today),
        counted=COUNTED,
        problems=[(event, advice(event), explanation(event)) for event in problems],
        **connection(),
    )


def connection() -> dict[str, object]:
    """What a mail program has to be told."""
    settings: Settings = current_app.extensions["franking.settings"]
    modes = [
        (settings.smtp.ports[name], IMPLICIT_TLS if listener.tls == "implicit" else STARTTLS)
        for name, listener in settings.listeners.for_submission().items()
        if name in settings.smtp.ports
    ]
    return {"smtp_host": settings.smtp.host, "smtp_ports": modes}
