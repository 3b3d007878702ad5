"""`/webhooks/<number>/…`: a new secret, and the present one again after the password."""

from __future__ import annotations

from datetime import timedelta

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user
from flask_security.forms import VerifyForm

from franking.db import utcnow
from franking.reasons import Invalid
from franking.webhooks import endpoints
from webpanel.database import own_account, writing
from webpanel.endpoints.about import SHOWN_ONCE, bp, note, own, own_to_change, sealer
from webpanel.endpoints.forms import RotateForm
from webpanel.endpoints.views import detail


@bp.post("/<int:hook>/rotate")
def rotate(hook: int) -> ResponseReturnValue:
    row = own(hook)
    form = RotateForm()
    if not form.validate():
        return detail(row, rotation=form), 400
    try:
        with writing() as session:
            own_to_change(session, hook)
            made = endpoints.rotate(
                session,
                own_account(session),
                hook,
                overlap=timedelta(days=form.days.data or 0),
                sealer=sealer(),
                now=utcnow(),
            )
            until = made.endpoint.previous_until
            note(session, "rotate", hook, previous_until=f"{until:%FT%TZ}" if until else None)
    except Invalid as reason:
        form.refused(reason)
        return detail(row, rotation=form), 400
    return render_template("endpoints/secret.html", made=made, new=False), 201, SHOWN_ONCE


@bp.get("/<int:hook>/reveal")
def ask(hook: int) -> ResponseReturnValue:
    form = VerifyForm(formdata=None, user=current_user)
    return render_template("endpoints/reveal.html", endpoint=own(hook), form=form)


@bp.post("/<int:hook>/reveal")
def reveal(hook: int) -> ResponseReturnValue:
    row = own(hook)
    form = VerifyForm(user=current_user)
    if not form.validate():
        return render_template("endpoints/reveal.html", endpoint=row, form=form), 400
    with writing() as session:
        secret = endpoints.reveal(own_to_change(session, hook), sealer())
        note(session, "reveal", hook)
    page = render_template("endpoints/revealed.html", endpoint=row, secret=secret)
    return page, 200, SHOWN_ONCE
