"""`/u/<token>`: unsubscribe from the stream that one message to one recipient was of (RFC 8058).

The token in the address is all the permission there is: a mail program posts without cookies, and
must get an answer, not a redirect.  Only POST acts: what looks at every link of a message, to
check it or to show it, sends GET and HEAD.  A recipient may take it back on the page that answers.
"""

from __future__ import annotations

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue

from franking.db import utcnow
from franking.mail import unsubscribing
from franking.mail.unsubscribing import Subscription, Tokens
from webpanel.access import public, signed
from webpanel.database import reading, writing

bp = Blueprint("unsubscribe", __name__, url_prefix="/u")


@bp.get("/<token>")
@public
def ask(token: str) -> ResponseReturnValue:
    queue_id = _message(token)
    if queue_id is None:
        return _forged()
    found = unsubscribing.find(reading, queue_id)
    return _page(token, found, "done" if found and found.holds else "ask")


@bp.post("/<token>")
@signed
def take(token: str) -> ResponseReturnValue:
    queue_id = _message(token)
    if queue_id is None:
        return _forged()
    rules = current_app.extensions["franking.settings"].suppressions
    by_person = "page" in request.form
    with writing() as session:
        found = unsubscribing.take(
            session, queue_id, rules, utcnow(), by="page" if by_person else "one-click"
        )
    return _page(token, found, "done")


@bp.post("/<token>/undo")
@signed
def undo(token: str) -> ResponseReturnValue:
    queue_id = _message(token)
    if queue_id is None:
        return _forged()
    with writing() as session:
        found = unsubscribing.undo(session, queue_id)
    return _page(token, found, "undone")


def _message(token: str) -> str | None:
    """Whose token it is; before anything is asked of the database."""
    return Tokens.of(current_app.extensions["franking.settings"]).queue_id(token)


def _page(token: str, found: Subscription | None, state: str) -> ResponseReturnValue:
    if found is None:
        return render_template("unsubscribe/page.html", state="gone"), 410
    return render_template(
        "unsubscribe/page.html",
        state=state,
        token=token,
        sender=found.sender,
        address=_masked(found.address),
        revocable=found.holds,
    )


def _forged() -> ResponseReturnValue:
    return render_template("unsubscribe/page.html", state="forged"), 404


def _masked(address: str) -> str:
    """Whoever was forwarded the message has its link, too: `a…@example.org`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"
