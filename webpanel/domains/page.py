"""`/domains/<name>`: the records with their states, and what can be done with the domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import cast

from flask import Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounts import credentials
from franking.db import utcnow
from franking.domains import life, ownership
from franking.domains.checks import spf
from franking.domains.dmarc import stages
from franking.domains.dmarc.stage import Stage
from franking.domains.found import Shown, statuses
from franking.domains.models import Domain
from franking.domains.names import organisational, to_unicode
from franking.domains.records import expected_records
from franking.domains.zonefile import zone_text
from webpanel.database import own_account, reading, writing
from webpanel.domains import words
from webpanel.domains.about import bp, note, own, own_to_change, relay, settings
from webpanel.domains.forms import HostsForm, RemoveForm, SubdomainsForm

MERGES = ("spf_two", "spf_without_us")
Suggest = Callable[[Shown], str | None]


@bp.get("/<name>")
def show(name: str) -> ResponseReturnValue:
    return detail(own(name))


@bp.get("/<name>/zone", endpoint="zone")
def zone_file(name: str) -> ResponseReturnValue:
    domain = own(name)
    zone = organisational(domain.name)
    records = expected_records(domain, ownership.keys_of(reading, domain), relay())
    headers = {"Content-Disposition": f'attachment; filename="{domain.name}.zone"'}
    return Response(zone_text(records, origin=zone), mimetype="text/plain", headers=headers)


@bp.post("/<name>/subdomains")
def subdomains(name: str) -> ResponseReturnValue:
    domain = own(name)
    allow = bool(SubdomainsForm().allow.data)
    with writing() as session:
        account = own_account(session)
        before = own_to_change(session, name).allow_subdomains
        ownership.allow_subdomains(session, account, domain.name, allow=allow)
        if before != allow:
            note(session, "subdomains", domain.name, allow=allow)
    shown = to_unicode(domain.name)
    flash(
        f"Mail from every name below {shown} is taken from now on."
        if allow
        else f"Only mail from {shown} itself, and from subdomains that you have added, is taken."
    )
    return redirect(url_for("domains.show", name=domain.name))


@bp.post("/<name>/remove")
def remove(name: str) -> ResponseReturnValue:
    domain = own(name)
    form = RemoveForm()
    if not form.confirms(domain):
        return detail(domain, form), 400
    with writing() as session:
        ownership.remove(session, own_account(session), domain.name, utcnow())
        note(session, "remove", domain.name)
    flash(f"{to_unicode(domain.name)} is removed. Mail from it is refused from now on.")
    return redirect(url_for("domains.index"))


def detail(
    domain: Domain, removal: RemoveForm | None = None, *, hosts: HostsForm | None = None
) -> str:
    rows = statuses(reading, domain, relay())
    required = [row for row in rows if row.record.required]
    advised = [row for row in rows if not row.record.required]
    there = sum(row.status == "verified" for row in required)
    state = life.state(domain)
    return render_template(
        "domains/show.html",
        domain=domain,
        title=to_unicode(domain.name),
        zone=organisational(domain.name),
        state=state,
        sentence=words.sentence(
            domain,
            state,
            required,
            obstacle=life.obstacle(reading, domain),
            grace=timedelta(days=settings().dns.grace_days),
        ),
        required=required,
        advised=advised,
        progress={"there": there, "wanted": len(required)},
        watched=state != "verified" or there < len(required),
        said=_said(state, rows),
        restricted=_restricted_to(domain),
        removal=removal or RemoveForm(formdata=None),
        hosts=hosts or _hosts(domain),
        suggest=own_dmarc(domain),
        **words.TABLES,
    )


def _hosts(domain: Domain) -> HostsForm:
    form = HostsForm(
        formdata=None, return_path=domain.return_path_host, tracking=domain.tracking_host
    )
    return form.offering(relay())


def suggested(row: Shown) -> str | None:
    """The record that is there, as it should be; None where ours is to be published as it is."""
    if row.fault in MERGES and row.found and not any(text.endswith("…") for text in row.found):
        return spf.combined(row.found, row.record.value)
    return None


def own_dmarc(domain: Domain) -> Suggest:
    """The same for DMARC, too: whatever else is in the customer's record stays."""

    def suggest(row: Shown) -> str | None:
        if row.fault == "dmarc_no_reports":
            stage = cast(Stage, domain.dmarc_stage)
            return stages.record_at(reading, domain, stage, relay())
        return suggested(row)

    return suggest


def _said(state: str, rows: Sequence[Shown]) -> str:
    """Changes whenever the records are to be shown anew."""
    found = (f"{row.record.name}={row.status}:{row.fault or ''}" for row in rows)
    return ",".join([state, *found])


def _restricted_to(domain: Domain) -> list[str]:
    """Names of credentials that may send from nothing but this domain."""
    return [
        row.name
        for row in credentials.all_of(reading, current_user.account)
        if row.revoked_at is None and list(row.sending_domains) == [domain.name]
    ]
