"""`POST /webhooks/<number>/again…`: send it again: a selection, all that was given up, all since
a time."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from franking.db import utcnow
from franking.reasons import Invalid
from franking.webhooks import replays
from webpanel.database import own_account, writing
from webpanel.endpoints.about import LARGEST_ID, bp, note, own, own_to_change, sentence
from webpanel.endpoints.deliveries import ROWS, log
from webpanel.endpoints.forms import SinceForm


@bp.post("/<int:hook>/again")
def again(hook: int) -> ResponseReturnValue:
    """Those that are ticked, or the one whose page it was."""
    own(hook)
    chosen = [
        number
        for number in request.form.getlist("delivery", type=int)[:ROWS]
        if 0 < number <= LARGEST_ID
    ]
    back = url_for("endpoints.show", hook=hook)
    if not chosen:
        flash("Tick the deliveries that are to be sent again.", "warning")
        return redirect(back)
    if "one" in request.form:
        back = url_for("endpoints.delivery", hook=hook, delivery=chosen[0])
    try:
        with writing() as session:
            own_to_change(session, hook)
            count = replays.again(session, own_account(session), hook, chosen, utcnow())
            note(session, "replay", hook, deliveries=chosen)
    except Invalid as reason:
        flash(sentence(reason), "warning")
        return redirect(back)
    flash(_sent(count))
    return redirect(back)


@bp.post("/<int:hook>/again/dead")
def again_dead(hook: int) -> ResponseReturnValue:
    try:
        with writing() as session:
            own_to_change(session, hook)
            count = replays.again_all_dead(session, own_account(session), hook, utcnow())
            note(session, "replay", hook, dead=count)
    except Invalid as reason:
        flash(sentence(reason), "warning")
    else:
        flash(_sent(count))
    return redirect(url_for("endpoints.show", hook=hook))


@bp.post("/<int:hook>/again/since")
def again_since(hook: int) -> ResponseReturnValue:
    row = own(hook)
    form = SinceForm()
    if not form.validate():
        return log(row, form), 400
    since = form.moment()
    try:
        with writing() as session:
            own_to_change(session, hook)
            replays.since(session, own_account(session), hook, since, utcnow())
            note(session, "replay", hook, since=f"{since:%FT%TZ}")
    except Invalid as reason:
        form.refused(reason)
        return log(row, form), 400
    flash("It is being put together, and sent as fast as the endpoint takes it.")
    return redirect(url_for("endpoints.show", hook=hook, _anchor="again"))


def _sent(count: int) -> str:
    if count == 0:
        return "There was nothing to send again."
    return "1 delivery is sent again." if count == 1 else f"{count} deliveries are sent again."
