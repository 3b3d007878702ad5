"""`/domains/<name>/deliverability`: what receivers see of the domain, and of our own servers.

The domain is looked at when the customer asks, and nothing of it is kept; the relay's side is what
the worker has seen last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from franking.deliverability import results
from franking.deliverability.domain import of_domain
from franking.deliverability.findings import Finding
from franking.domains import life
from franking.domains.models import Domain
from franking.domains.names import to_unicode
from webpanel.database import reading
from webpanel.domains import words
from webpanel.domains.about import bp, own, settings
from webpanel.domains.gate import TooSoon
from webpanel.domains.looking import gate, impatient, lookup

OPERATORS = ("addresses", "outside view")  # what is not set up, and tells a customer nothing


@bp.get("/<name>/deliverability")
def deliverability(name: str) -> ResponseReturnValue:
    return _page(own(name), None)


@bp.post("/<name>/deliverability")
def look(name: str) -> ResponseReturnValue:
    domain = own(name)
    try:
        with gate().passing(domain.account_id, -domain.id):
            findings = of_domain(
                domain.name, lookup(), settings().deliverability, impatient(settings())
            )
    except TooSoon as reason:
        flash(str(reason), "warning")
        return redirect(url_for("domains.deliverability", name=domain.name))
    return _page(domain, findings)


def _page(domain: Domain, findings: Sequence[Finding] | None) -> str:
    return render_template(
        "domains/deliverability.html",
        domain=domain,
        title=to_unicode(domain.name),
        state=life.state(domain),
        findings=findings,
        nodes=[
            replace(node, findings=tuple(f for f in node.findings if f.name not in OPERATORS))
            for node in results.load(reading)
        ],
        **words.TABLES,
    )
