"""`/billing/deposits`: payments, and the form that begins one.

The payment itself, and the page to which the provider sends people back, are `/payments/…`.
"""

from __future__ import annotations

from flask import current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.db import utcnow
from franking.money.amounts import parse_amount
from franking.money.billing import forecast, position
from franking.money.deposits import cards, deposits
from franking.money.deposits.provider import Provider, Unavailable
from franking.money.pricing import tariff_at
from franking.money.terms import terms_of
from franking.reasons import Invalid, NotFound
from webpanel.billing.forms import DepositForm
from webpanel.billing.views import ROWS, bp, own_id, settings
from webpanel.database import reading, writing


def providers() -> dict[str, Provider]:
    found: dict[str, Provider] = current_app.extensions["franking.providers"]
    return found


@bp.get("/deposits", endpoint="deposits")
def index() -> ResponseReturnValue:
    """`amount` in the address is what the form starts with."""
    form = DepositForm(formdata=None, amount=_asked(request.args.get("amount")))
    form.save_card.data = "save_card" in request.args
    return _page(form)


@bp.post("/deposits")
def begin() -> ResponseReturnValue:
    form = DepositForm()
    form.offer(providers().values())
    if not form.validate():
        return _page(form), 400
    try:
        deposit = deposits.begin(
            writing,
            settings(),
            providers()[form.provider.data],
            current_user.account_id,
            form.amount.data,
            save_card=form.save_card.data,
            actor=current_user.email,
        )
    except Invalid as reason:
        form.refused(reason)
        return _page(form), 400
    except Unavailable as reason:
        form.form_errors = [str(reason)]
        return _page(form), 503
    # Not to the provider at once: browsers hold the form's policy against redirects, too.
    return redirect(url_for("payments.show", reference=deposit.reference))


def _asked(text: str | None) -> int | None:
    try:
        return parse_amount(text) if text else None
    except Invalid:
        return None


def _page(form: DepositForm) -> str:
    account = current_user.account
    form.offer(providers().values())
    before = own_id(request.args.get("before", type=int))
    found = deposits.listed(reading, account.id, before_id=before, limit=ROWS + 1)
    bounds = settings().deposits
    return render_template(
        "billing/deposits.html",
        form=form,
        cards_by=[each.name for each in providers().values() if each.saves_cards],
        card=cards.card_of(reading, account.id),
        titles={name: each.title for name, each in providers().items()},
        suggested=[(amount, _lasts(amount)) for amount in suggested()],
        unit=terms_of(account.plan.terms).billing_unit,
        bounds=[int(bound * 1_000_000) for bound in (bounds.smallest, bounds.largest)],
        deposits=found[:ROWS],
        before=before,
        older=found[ROWS - 1].id if len(found) > ROWS else None,
        currency=account.plan.currency,
    )


def suggested() -> list[int]:
    return [int(amount * 1_000_000) for amount in settings().deposits.suggested]


def _lasts(amount: int) -> int | None:
    """Units that this much pays for at this month's prices; None without end, or price."""
    account, now = current_user.account, utcnow()
    place = position.position(reading, account, now)
    if place is None:
        return None
    try:
        return forecast.affordable(tariff_at(reading, account.plan, now), place.volume, amount)
    except NotFound:
        return None
