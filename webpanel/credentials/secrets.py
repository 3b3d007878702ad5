"""`/credentials/<user name>/…`: rotate, end the old secret, show the present one again.

Showing asks for the password each time, however fresh the login is: the browser may be one that
somebody walked away from.  Where the operator keeps no secrets that page does not exist.
"""

from __future__ import annotations

from datetime import timedelta

from flask import current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from flask_security.forms import VerifyForm

from franking.accounts import credentials
from franking.accounts.models import Credential
from franking.reasons import Invalid, NotFound
from webpanel.credentials.forms import RotateForm
from webpanel.credentials.views import SHOWN_ONCE, bp, detail, note, revealable
from webpanel.database import own_account, reading, writing
from webpanel.overview.views import connection


@bp.post("/<username>/rotate")
def rotate(username: str) -> ResponseReturnValue:
    row = credentials.get(reading, current_user.account, username)
    form = RotateForm()
    if not form.validate():
        return detail(row, rotation=form), 400
    longest = current_app.extensions["franking.settings"].credentials.longest_overlap_days
    try:
        with writing() as session:
            made = credentials.rotate(
                session,
                own_account(session),
                username,
                overlap=timedelta(days=form.days.data or 0),
                longest=timedelta(days=longest),
                sealer=current_app.extensions["franking.sealer"],
            )
            new = made.credential
            note(
                session,
                "rotate",
                username,
                secret=new.secret_hint,
                previous=new.previous_hint,
                previous_until=f"{new.previous_until:%FT%TZ}",
            )
    except Invalid as reason:
        form.refused(reason)
        return detail(row, rotation=form), 400
    page = render_template(
        "credentials/created.html", made=made, rotated=True, days=form.days.data, **connection()
    )
    return page, 201, SHOWN_ONCE


@bp.post("/<username>/end-overlap")
def end_overlap(username: str) -> ResponseReturnValue:
    with writing() as session:
        row = credentials.end_overlap(session, own_account(session), username)
        note(session, "end_overlap", username, ended=row.previous_hint)
    flash(f"The old secret is refused from now on; only …{row.secret_hint} works.")
    return redirect(url_for("credentials.show", username=username))


@bp.get("/<username>/reveal")
def ask(username: str) -> ResponseReturnValue:
    return _asking(_kept(username), VerifyForm(formdata=None, user=current_user))


@bp.post("/<username>/reveal")
def reveal(username: str) -> ResponseReturnValue:
    row = _kept(username)
    form = VerifyForm(user=current_user)
    if not form.validate():
        return _asking(row, form), 400
    with writing() as session:
        mine = credentials.get(session, own_account(session), username)
        secret = credentials.reveal(mine, current_app.extensions["franking.sealer"])
        note(session, "reveal", username, secret=mine.secret_hint)
    page = render_template("credentials/revealed.html", credential=row, secret=secret)
    return page, 200, SHOWN_ONCE


def _kept(username: str) -> Credential:
    """Raises NotFound where there is nothing to show."""
    row = credentials.get(reading, current_user.account, username)
    if not revealable(row):
        raise NotFound(f"the secret of {username!r} is not kept")
    return row


def _asking(row: Credential, form: VerifyForm) -> str:
    return render_template("credentials/reveal.html", credential=row, form=form)
