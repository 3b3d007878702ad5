"""`/e/`: every refusal of ours on one page; `/e/<key>`: what one means and how to fix it.

Public, and from the catalogue alone: nothing of a customer is on them.
"""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from franking.mail.auth_reasons import AUTH_REASONS
from franking.mail.catalogue import CATALOGUE, FIRST, GROUPS
from franking.reasons import NotFound
from webpanel.access import public
from webpanel.advice import LOGIN

bp = Blueprint("replies", __name__)


@bp.get("/e/")
@public
def index() -> ResponseReturnValue:
    return render_template(
        "replies/index.html",
        first=[CATALOGUE[key] for key in FIRST],
        groups=[(title, [CATALOGUE[key] for key in keys]) for title, keys in GROUPS.items()],
    )


@bp.get("/e/<key>")
@public
def show(key: str) -> ResponseReturnValue:
    entry = CATALOGUE.get(key)
    if entry is None:
        raise NotFound(f"there is no reply {key!r}")
    reasons = AUTH_REASONS if key == LOGIN else None
    return render_template("replies/show.html", entry=entry, reasons=reasons)
