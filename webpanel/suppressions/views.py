"""`/suppressions`: the list with its filters, new entries, and those that are to go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.db import utcnow
from franking.mail import suppression_pages, suppressions
from franking.mail.models import Suppression
from franking.reasons import Invalid, Taken
from webpanel.database import own_account, reading, writing
from webpanel.suppressions import words
from webpanel.suppressions.forms import AddForm, FilterForm

bp = Blueprint("suppressions", __name__, url_prefix="/suppressions")
ROWS = 50
LARGEST_ID = (1 << 63) - 1


@bp.get("")
def index() -> ResponseReturnValue:
    """Filters are in the URL; `before` is where the page starts."""
    return _list(AddForm(formdata=None))


@bp.post("")
def add() -> ResponseReturnValue:
    form = AddForm()
    if not form.validate():
        return _list(form), 400
    days, now = int(form.days.data), utcnow()
    try:
        with writing() as session:
            row = suppressions.add(
                session,
                own_account(session),
                (form.address.data or "").strip(),
                scope=form.scope.data,
                scope_name=form.named,
                note=(form.note.data or "").strip() or None,
                expires_at=now + timedelta(days=days) if days else None,
                now=now,
            )
            note(session, "add", row)
            address = row.address
    except Taken as reason:
        form.address.errors = [f"{str(reason)[:1].upper()}{str(reason)[1:]}."]
        return _list(form), 400
    except Invalid as reason:
        form.refused(reason)
        return _list(form), 400
    flash(f"{address} is suppressed.")
    return redirect(url_for("suppressions.index"))


@bp.post("/remove")
def remove() -> ResponseReturnValue:
    """Asks first, with what to think of; `sure` comes from that page."""
    numbers = [n for n in request.form.getlist("id", type=int) if 0 < n <= LARGEST_ID][:ROWS]
    found = suppressions.several(reading, current_user.account, numbers)
    if not found:
        flash("Choose the addresses that mail may go to again.", "warning")
        return redirect(url_for("suppressions.index"))
    if not request.form.get("sure"):
        reasons = {row.reason for row in found}
        warnings = {r: text for r, text in suppression_pages.WARNINGS.items() if r in reasons}
        return render_template(
            "suppressions/remove.html", rows=found, warnings=warnings, words=words
        )
    with writing() as session:
        gone = suppressions.remove_several(session, own_account(session), numbers)
        for row in gone:
            note(session, "remove", row)
        count = len(gone)
    flash(f"{count} {'entry is' if count == 1 else 'entries are'} removed. Mail passes again.")
    return redirect(url_for("suppressions.index"))


def note(session: Session, action: str, row: Suppression) -> None:
    """In the audit trail, with who is logged in."""
    scope = f"{row.scope}:{row.scope_name}" if row.scope_name else row.scope
    told: dict[str, Any] = {"address": row.address, "scope": scope, "reason": row.reason}
    user = current_user
    audit.record(
        session, user.account_id, user.email, f"suppression.{action}", event_id=row.event_id, **told
    )


def _list(form: AddForm) -> str:
    asked = FilterForm(request.args)
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before <= LARGEST_ID:
        before = None
    found = suppression_pages.search(
        reading, current_user.account, asked.wanted(), utcnow(), before=before, limit=ROWS + 1
    )
    return render_template(
        "suppressions/index.html",
        form=asked,
        adding=form,
        rows=found[:ROWS],
        older=found[ROWS - 1].entry.id if len(found) > ROWS else None,
        before=before,
        filters={f.name: v for f in asked if (v := request.args.get(f.name))},
        words=words,
    )
