"""`/billing/settings`: notices, the spending cap, automatic top-up, what stands on invoices.

Each card is a form of its own, with its own address; a change is noted in the audit trail with
what there was before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.db import utcnow
from franking.money import ledger
from franking.money.billing import forecast
from franking.money.billing.models import BillingSettings
from franking.money.billing.preferences import change, preferences
from franking.money.deposits import cards, topup
from franking.money.periods import day_of
from franking.reasons import Invalid
from webpanel.billing.deposits import providers
from webpanel.billing.forms import AlertForm, CapForm, InvoiceForm, TopupForm, text_or_none
from webpanel.billing.views import bp, settings
from webpanel.database import own_account, reading, writing
from webpanel.forms import Form

Check = Callable[[Session, dict[str, Any]], None]


@bp.get("/settings", endpoint="settings")
def index() -> ResponseReturnValue:
    return _page()


@bp.post("/settings/alerts")
def change_alerts() -> ResponseReturnValue:
    form = AlertForm()
    return _change(form, "alerts", "Saved.")


@bp.post("/settings/cap")
def change_cap() -> ResponseReturnValue:
    form = CapForm()
    return _change(form, "cap", "Saved. It holds from the next message on.")


@bp.post("/settings/topup")
def change_topup() -> ResponseReturnValue:
    return _change(TopupForm(), "topup", "Saved. Automatic top-up is on.", _can_top_up)


@bp.post("/settings/topup/off")
def stop_topup() -> ResponseReturnValue:
    _write({"topup_below": None, "topup_amount": None})
    flash("Automatic top-up is off. The card stays saved until you remove it.")
    return redirect(url_for("billing.settings", _anchor="topup"))


@bp.post("/settings/card/remove")
def remove_card() -> ResponseReturnValue:
    """Without a card there is no automatic top-up: its amounts go, too."""
    cards.forget(writing, providers(), current_user.account_id, actor=current_user.email)
    _write({"topup_below": None, "topup_amount": None})
    flash("The card is removed. Nothing is charged by itself any more.")
    return redirect(url_for("billing.settings", _anchor="topup"))


@bp.post("/settings/invoices")
def change_invoices() -> ResponseReturnValue:
    return _change(InvoiceForm(), "invoice", "Saved. It stands on invoices from the next one on.")


def _change(form: Form, name: str, saved: str, check: Check | None = None) -> ResponseReturnValue:
    """Save what a form says, or show it again with what is wrong."""
    if not form.validate():
        return _page(**{name: form}), 400
    values = {
        field.name: text_or_none(field.data) if field.name in _TEXTS else field.data
        for field in form
        if field.name != "csrf_token"
    }
    try:
        _write(values, check)
    except Invalid as reason:
        form.refused(reason)
        return _page(**{name: form}), 400
    flash(saved)
    return redirect(url_for("billing.settings", _anchor=name))


_TEXTS = ("invoice_name", "invoice_address", "tax_id")


def _write(values: dict[str, Any], check: Check | None = None) -> None:
    with writing() as session:
        account = own_account(session)
        if check is not None:
            check(session, values)
        before = _plain(preferences(session, account.id), values)
        after = _plain(change(session, account, **values), values)
        if before != after:
            audit.record(
                session, account.id, current_user.email, "billing.set", before=before, after=after
            )


def _plain(row: BillingSettings, values: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in values}


def _can_top_up(session: Session, values: dict[str, Any]) -> None:
    account = current_user.account
    if cards.card_of(session, account.id) is None:
        raise Invalid("there is no saved card to charge")
    if values["topup_below"] is None:
        raise Invalid.of("topup_below", "say below which balance the card is to be charged")
    if values["topup_amount"] is None:
        raise Invalid.of("topup_amount", "say how much is to be charged")
    topup.check_amount(values["topup_amount"], account.plan.currency, settings().deposits)


def _page(**refused: Form) -> str:
    """Forms that were refused come with what was typed; the others with what holds."""
    account, now = current_user.account, utcnow()
    chosen = preferences(reading, account.id)
    balance = ledger.balance(reading, account.id)
    forms = {
        name: refused.get(name) or form(formdata=None, obj=chosen)
        for name, form in (
            ("alerts", AlertForm), ("cap", CapForm), ("topup", TopupForm), ("invoice", InvoiceForm)
        )
    }  # fmt: skip
    return render_template(
        "billing/settings.html",
        forms=forms,
        chosen=chosen,
        threshold=forecast.threshold(reading, account, now),
        spent=day_of(now).so_far(balance.spent, balance.spent_on),
        card=cards.card_of(reading, account.id),
        stopped=chosen.topup_failures >= topup.STOP_AFTER,
        saves_cards=any(provider.saves_cards for provider in providers().values()),
        issued=bool(settings().invoices.issuer_name),
        currency=account.plan.currency,
    )
