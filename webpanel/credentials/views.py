"""`/credentials`: list, create, revoke.

The secret is on the page that answers the POST and nowhere else: it is in no cookie, session or
cache, and a reload cannot bring it back.
"""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from sqlalchemy.orm import Session

from franking.accounts import audit, credentials
from franking.reasons import Invalid
from webpanel.credentials.forms import CreateForm
from webpanel.database import own_account, reading, writing
from webpanel.overview.views import connection

bp = Blueprint("credentials", __name__, url_prefix="/credentials")


@bp.get("")
def index() -> ResponseReturnValue:
    return _list(CreateForm())


@bp.post("")
def create() -> ResponseReturnValue:
    form = CreateForm()
    if not form.validate():
        return _list(form), 400
    prefix = current_app.extensions["franking.settings"].brand.prefix
    try:
        with writing() as session:
            account = own_account(session)
            made = credentials.create(session, account, form.name.data or "", prefix=prefix)
            _audit(session, "credential.create", made.credential.username)
    except Invalid as reason:
        form.name.errors = [str(reason)]
        return _list(form), 400
    page = render_template("credentials/created.html", made=made, **connection())
    return page, 201, {"Cache-Control": "no-store"}


@bp.post("/<username>/revoke")
def revoke(username: str) -> ResponseReturnValue:
    with writing() as session:
        revoked = credentials.revoke(session, own_account(session), username)
        _audit(session, "credential.revoke", revoked.username)
    flash(f"“{revoked.name}” is revoked. Mail programs that use it are refused from now on.")
    return redirect(url_for("credentials.index"))


def _list(form: CreateForm) -> str:
    return render_template(
        "credentials/index.html",
        form=form,
        credentials=credentials.all_of(reading, current_user.account),
    )


def _audit(session: Session, action: str, username: str) -> None:
    user = current_user
    audit.record(session, user.account_id, user.email, action, username=username)
