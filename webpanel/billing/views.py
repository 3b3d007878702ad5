"""`/billing`: how much is there, how long it lasts, what a message costs now; and all notices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.db import utcnow
from franking.mail import messages
from franking.mail.models import Message
from franking.money import ledger, ledger_pages
from franking.money.billing import forecast, position, preferences
from franking.money.deposits import cards
from franking.money.ledger_pages import Line, Wanted
from franking.money.terms import terms_of
from franking.notices import notices, texts
from franking.notices.models import Notice
from franking.settings import Settings
from webpanel.billing import words
from webpanel.database import reading

bp = Blueprint("billing", __name__, url_prefix="/billing")
LATEST = 8  # ledger lines
STRIP = 3  # notices
ROWS = 50


def settings() -> Settings:
    found: Settings = current_app.extensions["franking.settings"]
    return found


def subjects(lines: Sequence[Line]) -> dict[str, Message]:
    """The messages of these lines by their queue ID."""
    wanted = [line.queue_id for line in lines if line.queue_id]
    return messages.several(reading, current_user.account, wanted)


def own_id(number: int | None) -> int | None:
    """A row's number from an address; None for what cannot be one."""
    return number if number is not None and 0 < number < 1 << 63 else None


@bp.get("")
def index() -> ResponseReturnValue:
    account, now = current_user.account, utcnow()
    terms = terms_of(account.plan.terms)
    left = forecast.forecast(reading, account, now)
    place = position.position(reading, account, now)
    coming = position.coming(reading, account.plan, now)
    lines = ledger_pages.page(reading, account, Wanted(), limit=LATEST).lines
    return render_template(
        "billing/index.html",
        balance=ledger.balance(reading, account.id),
        left=left,
        lasts=words.lasts(left),
        waiting=position.waiting(reading, account),
        place=place,
        coming=coming,
        coming_steps=position.steps_of_list(coming, account.plan) if coming else (),
        terms=terms,
        month=now,
        next_fee=words.next_month(now.date()),
        on_empty=words.on_empty(terms, place),
        chosen=preferences.preferences(reading, account.id),
        card=cards.card_of(reading, account.id),
        pays_here=bool(current_app.extensions["franking.providers"]),
        suggested=[int(amount * 1_000_000) for amount in settings().deposits.suggested],
        lines=lines,
        subjects=subjects(lines),
        kinds=words.CAUSES,
        notices=[_told(notice) for notice in notices.listed(reading, account, limit=STRIP)],
        currency=account.plan.currency,
    )


@bp.get("/notices", endpoint="notices")
def all_notices() -> ResponseReturnValue:
    """`before` is where the page starts."""
    before = own_id(request.args.get("before", type=int))
    found = notices.listed(reading, current_user.account, before_id=before, limit=ROWS + 1)
    return render_template(
        "billing/notices.html",
        notices=[_told(notice) for notice in found[:ROWS]],
        before=before,
        older=found[ROWS - 1].id if len(found) > ROWS else None,
    )


def _told(notice: Notice) -> dict[str, Any]:
    return {
        "at": notice.at,
        "kind": notice.kind,
        "title": texts.TITLES.get(notice.kind, notice.kind),
        "sentence": texts.sentence(notice.kind, notice.detail),
        "mail": words.MAILED[notices.mail_state(notice)],
        "place": words.NOTICE_PLACES.get(notice.kind.partition(".")[0]),
        "domain": notice.detail.get("domain"),
        "colour": words.NOTICE_COLOURS.get(notice.kind, "secondary"),
    }
