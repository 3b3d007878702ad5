"""`POST /domains/<name>/check`: a look at the DNS inside the request, within 15 seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from flask import Flask, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from franking.db import utcnow
from franking.dns.answers import Lookup
from franking.dns.config import Dns
from franking.dns.lookups import Resolvers
from franking.domains import life
from franking.domains.checks import Finding
from franking.settings import Settings
from webpanel.database import database
from webpanel.domains.about import bp, own, settings
from webpanel.domains.gate import Gate, TooSoon
from webpanel.domains.hurry import Hurried

LONGEST = 8.0  # seconds; the look-up that is under way then may take 5 × PATIENCE more
PATIENCE = 1.0  # seconds for one question, where the settings have no less
PAGES = {"dkim": "domains.dkim", "dmarc": "domains.dmarc"}  # where one can come from
_LOOKUP, _GATE = "franking.lookup", "franking.dns_gate"


def init_app(app: Flask, chosen: Settings) -> None:
    app.extensions[_LOOKUP] = Resolvers(impatient(chosen))
    app.extensions[_GATE] = Gate()


def impatient(chosen: Settings) -> Dns:
    """The settings for questions that somebody waits for."""
    return chosen.dns.model_copy(update={"timeout": min(PATIENCE, chosen.dns.timeout)})


def gate() -> Gate:
    return cast(Gate, current_app.extensions[_GATE])


def lookup() -> Lookup:
    """Ends by itself, so that a request does."""
    return Hurried(cast(Lookup, current_app.extensions[_LOOKUP]), time.monotonic() + LONGEST)


@bp.post("/<name>/check")
def check(name: str) -> ResponseReturnValue:
    domain = own(name)
    try:
        with gate().passing(domain.account_id, domain.id):
            findings = life.look_at(database(), settings(), lookup(), domain.id, utcnow())
    except TooSoon as reason:
        flash(str(reason), "warning")
    else:
        _say(findings)
    back = request.form.get("back", "")
    return redirect(url_for(PAGES.get(back, "domains.show"), name=domain.name))


def _say(findings: Sequence[Finding]) -> None:
    silent = [f for f in findings if f.status == "temporary_failure"]
    required = [f for f in findings if f.record.required]
    there = sum(f.status == "verified" for f in required)
    if silent:
        flash(
            f"The DNS did not answer for {_count(len(silent))}. That says nothing about your"
            " records; we look again by ourselves.",
            "warning",
        )
    elif there == len(required):
        flash("All required records are there.")
    else:
        flash(
            f"{there} of {_count(len(required))} that are required are there."
            " What to do about the others stands beside them.",
            "warning",
        )


def _count(number: int) -> str:
    return f"{number} record{'' if number == 1 else 's'}"
