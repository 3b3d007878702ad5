"""`/accounting/keys`, `/accounting/password`: who may fetch the files by SFTP.

The password is on the page that answers the POST and nowhere else.
"""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from sqlalchemy.orm import Session

from franking.accounting import access
from franking.accounts import audit
from franking.db import utcnow
from franking.reasons import Invalid, Taken
from webpanel.accounting.forms import KeyForm
from webpanel.accounting.views import bp, page, rules
from webpanel.database import own_account, writing

SHOWN_ONCE = {"Cache-Control": "no-store"}
SOON = "It holds within a few seconds."


@bp.post("/keys")
def add_key() -> ResponseReturnValue:
    form = KeyForm()
    if not form.validate():
        return page(form), 400
    try:
        with writing() as session:
            account = own_account(session)
            line = form.key.data or ""
            key = access.add_key(session, account, line, prefix=_prefix(), now=utcnow())
            _note(session, "add_key", key=key.fingerprint)
    except Taken:
        form.key.errors = ["This key is in the list already."]
        return page(form), 400
    except Invalid as reason:
        form.refused(reason)
        return page(form), 400
    flash(f"The key {key.fingerprint} may fetch your files. {SOON}")
    return redirect(url_for("accounting.index"))


@bp.post("/keys/remove")
def remove_key() -> ResponseReturnValue:
    with writing() as session:
        fingerprint = request.form.get("fingerprint", "")
        key = access.remove_key(session, own_account(session), fingerprint, utcnow())
        _note(session, "remove_key", key=key.fingerprint)
    flash(f"The key {key.fingerprint} is removed. {SOON}")
    return redirect(url_for("accounting.index"))


@bp.post("/password")
def new_password() -> ResponseReturnValue:
    try:
        with writing() as session:
            account = own_account(session)
            made = access.new_password(session, account, prefix=_prefix(), now=utcnow())
            _note(session, "new_password")
    except Invalid as reason:
        form = KeyForm(formdata=None)
        form.refused(reason)
        return page(form), 400
    text = render_template("accounting/password.html", made=made, rules=rules())
    return text, 201, SHOWN_ONCE


@bp.post("/password/remove")
def remove_password() -> ResponseReturnValue:
    with writing() as session:
        access.remove_password(session, own_account(session), utcnow())
        _note(session, "remove_password")
    flash(f"The password is removed. {SOON}")
    return redirect(url_for("accounting.index"))


def _prefix() -> str:
    return str(current_app.extensions["franking.settings"].brand.prefix)


def _note(session: Session, action: str, **detail: Any) -> None:
    user = current_user
    audit.record(session, user.account_id, user.email, f"accounting.{action}", **detail)
