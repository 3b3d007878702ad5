"""`/messages` and `/messages/<queue ID>`."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounts import audit, credentials
from franking.db import utcnow
from franking.mail import holding, messages
from franking.money import ledger_pages, reservations
from franking.webhooks import outbox
from webpanel.advice import advice
from webpanel.database import own_account, reading, writing
from webpanel.messages import timeline
from webpanel.messages.forms import FilterForm

bp = Blueprint("messages", __name__, url_prefix="/messages")
ROWS = 50


@bp.get("")
def index() -> ResponseReturnValue:
    """Filters are in the URL; `before` is where the page starts."""
    account = current_user.account
    known = credentials.all_of(reading, account)
    form = FilterForm(request.args)
    form.offer(known)
    before = request.args.get("before")
    page = messages.search(reading, account, form.wanted(), before, ROWS)
    return render_template(
        "messages/index.html",
        form=form,
        page=page,
        before=before,
        filters={f.name: v for f in form if (v := request.args.get(f.name))},
        names={c.id: c for c in known},
        currency=account.plan.currency,
    )


@bp.get("/<queue_id>")
def show(queue_id: str) -> ResponseReturnValue:
    account = current_user.account
    message = messages.get(reading, account, queue_id)
    names = {c.id: c for c in credentials.all_of(reading, account)}
    happened = messages.timeline(reading, message)
    told = timeline.Told(
        message=message,
        credential=names[message.credential_id],
        reservation=reservations.of_message(reading, message.node, message.queue_id),
        events=happened,
        currency=account.plan.currency,
        refunds=ledger_pages.refunds_of(reading, account, message),
        suppressing=messages.suppressing(reading, account, happened),
    )
    return render_template(
        "messages/show.html",
        message=message,
        reservation=told.reservation,
        credential=told.credential,
        recipients=messages.recipients(reading, message),
        steps=timeline.steps(told),
        advice=advice,
        waiting=messages.waiting(reading, message),
        webhooks=outbox.of_message(reading, account, message),
        state_of=outbox.state_of,
        currency=account.plan.currency,
    )


@bp.post("/<queue_id>/release")
def release(queue_id: str) -> ResponseReturnValue:
    """Put a held message first in its line."""
    with writing() as session:
        account = own_account(session)
        holding.request_release(session, account, queue_id, utcnow())
        audit.record(session, account.id, current_user.email, "message.release", queue_id=queue_id)
    flash("It is the next to go, as soon as your limits have room.")
    return redirect(url_for("messages.show", queue_id=queue_id))
