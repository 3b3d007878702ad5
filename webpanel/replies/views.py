"""`/e/<key>`: what one of our replies means and how to fix it; from the catalogue alone."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from franking.mail.replies import CATALOGUE
from franking.reasons import NotFound
from webpanel.access import public

bp = Blueprint("replies", __name__)


@bp.get("/e/<key>")
@public
def show(key: str) -> ResponseReturnValue:
    entry = CATALOGUE.get(key)
    if entry is None:
        raise NotFound(f"there is no reply {key!r}")
    return render_template("replies/show.html", entry=entry)
