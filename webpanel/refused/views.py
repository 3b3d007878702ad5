"""`/refused`: the account's refusals, newest first; `?before=<event id>` pages on."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounts import credentials
from franking.mail import messages
from webpanel.advice import advice, explanation, reason
from webpanel.database import reading

bp = Blueprint("refused", __name__)
ROWS = 50


@bp.get("/refused")
def index() -> ResponseReturnValue:
    account = current_user.account
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < 1 << 63:
        before = None
    found = messages.refusals(reading, account, before, ROWS + 1)
    names = {c.id: c for c in credentials.all_of(reading, account)}
    return render_template(
        "refused/index.html",
        events=[
            (e, advice(e), explanation(e), names.get(e.credential_id or 0)) for e in found[:ROWS]
        ],
        reason=reason,
        before=before,
        older=found[ROWS - 1].id if len(found) > ROWS else None,
    )
