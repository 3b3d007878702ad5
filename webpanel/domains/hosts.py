"""`/domains/<name>/hosts`: which hosts below the domain bounces and tracking use."""

from __future__ import annotations

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue

from franking.db import utcnow
from franking.domains.hosts import name_hosts
from franking.reasons import Invalid
from webpanel.database import own_account, writing
from webpanel.domains.about import bp, note, own, own_to_change, relay
from webpanel.domains.forms import HostsForm
from webpanel.domains.page import detail


@bp.post("/<name>/hosts")
def hosts(name: str) -> ResponseReturnValue:
    domain = own(name)
    form = HostsForm().offering(relay())
    if not form.validate():
        return detail(domain, hosts=form), 400
    try:
        with writing() as session:
            row = own_to_change(session, name)
            bounces = _typed(form, "return_path", row.return_path_host) or ""
            links = _typed(form, "tracking", row.tracking_host) or None
            account, now = own_account(session), utcnow()
            name_hosts(session, account, name, return_path=bounces, tracking=links, now=now)
            note(session, "hosts", domain.name, return_path=bounces, tracking=links)
    except Invalid as reason:
        form.refused(reason)
        return detail(domain, hosts=form), 400
    flash("Saved. Publish the records below; the old ones may go once the new ones are seen.")
    return redirect(url_for("domains.show", name=domain.name))


def _typed(form: HostsForm, field: str, now: str | None) -> str | None:
    """What was typed, where it was asked."""
    return form[field].data if field in form else now
