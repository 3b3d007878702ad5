"""`/credentials`: list, create, change, revoke.

A secret is on the page that answers the POST and nowhere else: it is in no cookie, session or
cache, and a reload cannot bring it back (`webpanel.credentials.secrets`).
"""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from sqlalchemy.orm import Session

from franking.accounts import audit, credentials
from franking.accounts.credential_options import plain
from franking.accounts.credentials import Options
from franking.accounts.models import Credential
from franking.accounts.rules import effective, rules_of
from franking.db import utcnow
from franking.domains import ownership
from franking.mail import streams
from franking.money.periods import day_of
from franking.reasons import Invalid
from webpanel.credentials import options as shown
from webpanel.credentials.clients import clients_of
from webpanel.credentials.forms import CreateForm, OptionsForm, RotateForm
from webpanel.database import own_account, reading, writing
from webpanel.overview.views import connection

bp = Blueprint("credentials", __name__, url_prefix="/credentials")
OVERLAP_DAYS = 7
SHOWN_ONCE = {"Cache-Control": "no-store"}
_F = TypeVar("_F", bound=OptionsForm)


@bp.get("")
def index() -> ResponseReturnValue:
    return _list(_offering(CreateForm()))


@bp.post("")
def create() -> ResponseReturnValue:
    form = _offering(CreateForm())
    if not form.validate():
        return _list(form), 400
    try:
        with writing() as session:
            made = credentials.create(
                session,
                own_account(session),
                form.name.data or "",
                prefix=current_app.extensions["franking.settings"].brand.prefix,
                mode=form.mode.data,
                options=shown.wanted(form, Options()),
                sealer=current_app.extensions["franking.sealer"],
            )
            row = made.credential
            options = plain(credentials.options_of(row))
            note(session, "create", row.username, mode=row.mode, **options)
    except Invalid as reason:
        form.refused(reason)
        return _list(form), 400
    page = render_template("credentials/created.html", made=made, **connection())
    return page, 201, SHOWN_ONCE


@bp.get("/<username>")
def show(username: str) -> ResponseReturnValue:
    return detail(credentials.get(reading, current_user.account, username))


@bp.post("/<username>")
def change(username: str) -> ResponseReturnValue:
    row = credentials.get(reading, current_user.account, username)
    form = _offering(OptionsForm(), row)
    if not form.validate():
        return detail(row, form), 400
    try:
        with writing() as session:
            account = own_account(session)
            mine = credentials.get(session, account, username, for_update=True)
            before = credentials.options_of(mine)
            mine = credentials.change(session, account, username, shown.wanted(form, before))
            after = credentials.options_of(mine)
            note(session, "set", username, before=plain(before), after=plain(after))
    except Invalid as reason:
        form.refused(reason)
        return detail(row, form), 400
    flash("Saved. It holds from the next log-in and the next message on.")
    return redirect(url_for("credentials.show", username=username))


@bp.post("/<username>/revoke")
def revoke(username: str) -> ResponseReturnValue:
    with writing() as session:
        revoked = credentials.revoke(session, own_account(session), username)
        note(session, "revoke", revoked.username)
    flash(f"“{revoked.name}” is revoked. Mail programs that use it are refused from now on.")
    return redirect(url_for("credentials.index"))


def _list(form: CreateForm) -> str:
    now = utcnow()
    rows = [
        (row, credentials.state_of(row, now), shown.in_short(credentials.options_of(row)))
        for row in credentials.all_of(reading, current_user.account)
    ]
    return render_template(
        "credentials/index.html",
        form=form,
        rows=rows,
        streams=streams.all_of(reading, current_user.account),
        **_about_options(),
    )


def detail(
    row: Credential, form: OptionsForm | None = None, rotation: RotateForm | None = None
) -> str:
    """The page of one credential; a form that was refused comes with what was typed."""
    now = utcnow()
    longest = current_app.extensions["franking.settings"].credentials.longest_overlap_days
    days = min(OVERLAP_DAYS, longest)
    return render_template(
        "credentials/show.html",
        credential=row,
        state=credentials.state_of(row, now),
        overlapping=credentials.overlapping(row, now),
        clients=clients_of(credentials.uses(reading, row), row, now),
        form=form or _offering(OptionsForm(**_start(row)), row),
        rotation=rotation or RotateForm(formdata=None, days=days),
        longest=longest,
        revealable=revealable(row),
        beyond=shown.beyond(credentials.options_of(row).rules),
        cap=effective(row.account.plan.rules, row.rules).daily_spend,
        spent=day_of(now).so_far(row.spent, row.spent_on),
        **_about_options(),
    )


def revealable(row: Credential) -> bool:
    """Where the operator keeps no secrets, or did not when this one was made, there is nothing."""
    kept = current_app.extensions["franking.sealer"] is not None and row.sealed_secret is not None
    return kept and row.revoked_at is None


def _start(row: Credential) -> dict[str, Any]:
    return {"formdata": None, **shown.values(credentials.options_of(row))}


def _offering(form: _F, row: Credential | None = None) -> _F:
    form.offer(ownership.all_of(reading, current_user.account), row.sending_domains if row else ())
    return form


def _about_options() -> dict[str, object]:
    """What the fields of the options are explained with."""
    listeners = current_app.extensions["franking.settings"].listeners.for_submission()
    return {
        "currency": current_user.account.plan.currency,
        "plan": shown.of_plan(rules_of(current_user.account.plan.rules)),
        "clear_text": any(listener.plaintext_auth for listener in listeners.values()),
    }


def note(session: Session, action: str, username: str, **detail: Any) -> None:
    """In the audit trail, with who is logged in."""
    user = current_user
    audit.record(
        session, user.account_id, user.email, f"credential.{action}", username=username, **detail
    )
