"""`/healthz`: the process answers.  `/readyz`: its database does too (else 503)."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from franking import log
from webpanel import database
from webpanel.access import public

bp = Blueprint("health", __name__)
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


@bp.get("/healthz")
@public
def alive() -> ResponseReturnValue:
    return "ok\n", 200, PLAIN


@bp.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    try:
        database.check()
    except SQLAlchemyError as error:
        log.database_trouble("readyz", error)
        return "the database does not answer\n", 503, PLAIN
    return "ok\n", 200, PLAIN
