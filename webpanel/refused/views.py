"""`/refused`: the account's refusals, newest first; filters are in the URL, `before` pages on."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounts import credentials
from franking.mail import refusals
from webpanel.advice import advice, explanation, reason
from webpanel.database import reading
from webpanel.refused.forms import FilterForm

bp = Blueprint("refused", __name__)
ROWS = 50
LARGEST_ID = (1 << 63) - 1


@bp.get("/refused")
def index() -> ResponseReturnValue:
    account = current_user.account
    names = {c.id: c for c in credentials.all_of(reading, account)}
    form = FilterForm(request.args)
    form.offer(list(names.values()))
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before <= LARGEST_ID:
        before = None
    found = refusals.search(reading, account, form.wanted(), before=before, limit=ROWS + 1)
    return render_template(
        "refused/index.html",
        form=form,
        events=[
            (e, advice(e), explanation(e), names.get(e.credential_id or 0)) for e in found[:ROWS]
        ],
        reason=reason,
        before=before,
        older=found[ROWS - 1].id if len(found) > ROWS else None,
        filters={f.name: v for f in form if (v := request.args.get(f.name))},
    )
