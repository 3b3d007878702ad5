"""`/webhooks/<number>`: what was delivered; `…/deliveries/<number>`: one, with every try."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.db import utcnow
from franking.money.terms import terms_of
from franking.reasons import Invalid
from franking.webhooks import endpoints, outbox, replays
from franking.webhooks.models import Endpoint, Replay
from franking.webhooks.outbox import State
from webpanel.database import reading, writing
from webpanel.endpoints import words
from webpanel.endpoints.about import LARGEST_ID, bp, own, own_delivery, own_to_change, sentence
from webpanel.endpoints.forms import SinceForm
from webpanel.endpoints.views import chosen, names

ROWS = 50


@bp.get("/<int:hook>")
def show(hook: int) -> ResponseReturnValue:
    return log(own(hook))


@bp.get("/<int:hook>/deliveries/<int:delivery>")
def delivery(hook: int, delivery: int) -> ResponseReturnValue:
    endpoint, row = own_delivery(hook, delivery)
    now = utcnow()
    return render_template(
        "endpoints/delivery.html",
        endpoint=endpoint,
        delivery=row,
        state=outbox.state_of(row),
        attempts=list(reversed(outbox.attempts(reading, row))),
        upcoming=outbox.upcoming(row, now),
        due=row.due_at <= now,
        kept=terms_of(current_user.account.plan.terms).retention.webhooks,
        words=words,
    )


@bp.post("/<int:hook>/test")
def test(hook: int) -> ResponseReturnValue:
    try:
        with writing() as session:
            sent = outbox.test(session, own_to_change(session, hook), utcnow()).id
    except Invalid as reason:
        flash(sentence(reason), "warning")
        return redirect(url_for("endpoints.show", hook=hook))
    return redirect(url_for("endpoints.delivery", hook=hook, delivery=sent))


def log(endpoint: Endpoint, again: SinceForm | None = None) -> str:
    """The page of one endpoint; a form that was refused comes with what was typed."""
    state = _state()
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before <= LARGEST_ID:
        before = None
    found = outbox.deliveries(reading, endpoint, state=state, before_id=before, limit=ROWS + 1)
    return render_template(
        "endpoints/show.html",
        endpoint=endpoint,
        standing=endpoints.standing_of(endpoint),
        chosen=chosen(endpoint, names()),
        rows=[(row, outbox.state_of(row)) for row in found[:ROWS]],
        before=before,
        older=found[ROWS - 1].id if len(found) > ROWS else None,
        chosen_state=state,
        again=again or SinceForm(formdata=None, since=_since(endpoint)),
        replays=replays.of(reading, endpoint),
        share=share,
        words=words,
    )


def share(replay: Replay) -> int:
    """How much of a replay's time it has come through, in percent."""
    whole = (replay.until - replay.since) / timedelta(seconds=1)
    done = (replay.reached - replay.since) / timedelta(seconds=1)
    return 100 if whole <= 0 else max(0, min(100, round(100 * done / whole)))


def _state() -> State | None:
    wanted = request.args.get("state")
    return next((state for state in get_args(State) if state == wanted), None)


def _since(endpoint: Endpoint) -> datetime:
    """Since when it may lack something; where nothing is known, a day ago."""
    asked = request.args.get("since", "")
    try:
        return datetime.strptime(asked, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    except ValueError:
        return endpoint.disabled_at or endpoint.failing_since or utcnow() - timedelta(days=1)
