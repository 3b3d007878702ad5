"""`POST /credentials/streams`: whether a stream is bulk mail, and gets links to unsubscribe."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounts import audit
from franking.mail import streams
from webpanel.credentials.views import bp
from webpanel.database import own_account, writing


@bp.post("/streams")
def mark_stream() -> ResponseReturnValue:
    name, bulk = request.form.get("name", ""), bool(request.form.get("bulk"))
    with writing() as session:
        account = own_account(session)
        streams.mark(session, account, name, bulk=bulk)
        audit.record(session, account.id, current_user.email, "stream.set", name=name, bulk=bulk)
    flash(
        f"From the next message on, mail of “{name}” to one recipient gets links to unsubscribe."
        if bulk
        else f"Mail of “{name}” gets no links to unsubscribe any more; those sent before work on."
    )
    return redirect(url_for("credentials.index", _anchor="streams"))
