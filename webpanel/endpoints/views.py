"""`/webhooks`: list, create; `/webhooks/<number>/settings`: change, disable, enable, remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounts import credentials
from franking.db import utcnow
from franking.domains import ownership
from franking.domains.names import to_unicode
from franking.mail import streams
from franking.reasons import Invalid
from franking.webhooks import endpoints
from franking.webhooks.endpoints import Filters
from franking.webhooks.models import Endpoint
from webpanel.database import own_account, reading, writing
from webpanel.endpoints import words
from webpanel.endpoints.about import SHOWN_ONCE, bp, note, own, own_to_change, sealer, settings
from webpanel.endpoints.forms import EndpointForm, RotateForm


@bp.get("")
def index() -> ResponseReturnValue:
    return _list(_offering(EndpointForm()))


@bp.post("")
def create() -> ResponseReturnValue:
    form = _offering(EndpointForm())
    if not form.validate():
        return _list(form), 400
    try:
        with writing() as session:
            made = endpoints.create(
                session,
                own_account(session),
                form.url.data or "",
                events=form.events.data or (),
                filters=form.filters(),
                batch=form.batch.data or 1,
                sealer=sealer(),
                rules=settings().webhooks,
            )
            note(session, "create", made.endpoint.id, **plain(made.endpoint))
    except Invalid as reason:
        form.refused(reason)
        return _list(form), 400
    return render_template("endpoints/secret.html", made=made, new=True), 201, SHOWN_ONCE


@bp.get("/<int:hook>/settings", endpoint="settings")
def ask(hook: int) -> ResponseReturnValue:
    return detail(own(hook))


@bp.post("/<int:hook>/settings")
def change(hook: int) -> ResponseReturnValue:
    row = own(hook)
    form = _offering(EndpointForm(), row)
    if not form.validate():
        return detail(row, form), 400
    try:
        with writing() as session:
            before = plain(own_to_change(session, hook))
            changed = endpoints.change(
                session,
                own_account(session),
                hook,
                rules=settings().webhooks,
                url=form.url.data or "",
                events=form.events.data or (),
                filters=form.filters(),
                batch=form.batch.data or 1,
            )
            note(session, "change", hook, before=before, after=plain(changed))
    except Invalid as reason:
        form.refused(reason)
        return detail(row, form), 400
    flash("Saved. It holds for what happens from now on.")
    return redirect(url_for("endpoints.settings", hook=hook))


@bp.post("/<int:hook>/disable")
def disable(hook: int) -> ResponseReturnValue:
    with writing() as session:
        own_to_change(session, hook)
        reason = f"by {current_user.email}"
        endpoints.disable(session, own_account(session), hook, reason, utcnow())
        note(session, "disable", hook)
    flash("The endpoint is disabled. What waited for it is given up, and can be sent again later.")
    return redirect(url_for("endpoints.show", hook=hook))


@bp.post("/<int:hook>/enable")
def enable(hook: int) -> ResponseReturnValue:
    """What happened meanwhile is offered to be sent again."""
    with writing() as session:
        since = own_to_change(session, hook).disabled_at
        endpoints.enable(session, own_account(session), hook)
        note(session, "enable", hook)
    flash("The endpoint is enabled. What happened meanwhile is sent when you ask for it below.")
    at = f"{since:%Y-%m-%dT%H:%M}" if since else None
    return redirect(url_for("endpoints.show", hook=hook, since=at, _anchor="again"))


@bp.post("/<int:hook>/remove")
def remove(hook: int) -> ResponseReturnValue:
    with writing() as session:
        url = own_to_change(session, hook).url
        endpoints.remove(session, own_account(session), hook)
        note(session, "remove", hook, url=url)
    flash("The endpoint is removed, with all that was known of deliveries to it.")
    return redirect(url_for("endpoints.index"))


def _list(form: EndpointForm) -> str:
    account, known = current_user.account, names()
    return render_template(
        "endpoints/index.html",
        form=form,
        rows=[(row, chosen(row, known)) for row in endpoints.all_of(reading, account)],
        standing=endpoints.standing_of,
        allowed=endpoints.allowed(account),
        most=endpoints.MOST,
        words=words,
    )


def detail(
    row: Endpoint, form: EndpointForm | None = None, rotation: RotateForm | None = None
) -> str:
    """The settings of one endpoint; a form that was refused comes with what was typed."""
    now = utcnow()
    return render_template(
        "endpoints/settings.html",
        endpoint=row,
        standing=endpoints.standing_of(row),
        overlapping=row.previous_until is not None and now < row.previous_until,
        form=form or _offering(EndpointForm(formdata=None, **_start(row)), row),
        rotation=rotation or RotateForm(formdata=None),
        words=words,
    )


def plain(row: Endpoint) -> dict[str, Any]:
    """For the audit trail."""
    filters = {name: list(values) for name, values in asdict(endpoints.filters_of(row)).items()}
    return {"url": row.url, "events": row.events, "batch": row.batch, **filters}


def names() -> dict[str, str]:
    """Of the account's credentials, by their user names."""
    return {c.username: c.name for c in credentials.all_of(reading, current_user.account)}


def chosen(row: Endpoint, names: Mapping[str, str]) -> list[str]:
    """What it is restricted to besides kinds of events, a few words each."""
    filters = asdict(endpoints.filters_of(row))
    filters["credentials"] = [names.get(each, each) for each in row.credentials]
    filters["domains"] = [to_unicode(each) for each in row.domains]
    said = [f"{name}: {', '.join(values)}" for name, values in filters.items() if values]
    return said + ([f"up to {row.batch} at once"] if row.batch > 1 else [])


def _start(row: Endpoint) -> dict[str, Any]:
    filters = asdict(endpoints.filters_of(row))
    return {
        "url": row.url,
        "events": row.events,
        "batch": row.batch,
        **filters,
        "tags": "\n".join(row.tags),
    }


def _offering(form: EndpointForm, row: Endpoint | None = None) -> EndpointForm:
    account = current_user.account
    form.offer(
        {domain.name: to_unicode(domain.name) for domain in ownership.all_of(reading, account)},
        names(),
        [stream.name for stream in streams.all_of(reading, account)],
        endpoints.filters_of(row) if row else Filters(),
    )
    return form
