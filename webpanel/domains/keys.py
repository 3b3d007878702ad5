"""`/domains/<name>/dkim`: the keys, what happens to them next, a new one now, the other way."""

from __future__ import annotations

from datetime import datetime

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from franking.db import utcnow
from franking.domains import life, ownership
from franking.domains.config import Dkim
from franking.domains.found import statuses
from franking.domains.keys import prepared
from franking.domains.models import DkimKey, Domain
from franking.domains.names import organisational, to_unicode
from franking.domains.rotation import steps
from franking.domains.rotation.turns import turn_of
from franking.reasons import Refused
from franking.settings import SettingsError
from webpanel.database import reading, writing
from webpanel.domains import words
from webpanel.domains.about import bp, note, own, own_to_change, relay, settings
from webpanel.domains.forms import MethodForm
from webpanel.domains.page import suggested

TURNS = {"active": 0, "pending": 1, "retiring": 2}


@bp.get("/<name>/dkim")
def dkim(name: str) -> ResponseReturnValue:
    domain = own(name)
    now, chosen = utcnow(), settings().dkim
    keys = sorted(ownership.keys_of(reading, domain), key=lambda key: TURNS[key.state])
    records = [row for row in statuses(reading, domain, relay()) if row.record.purpose == "dkim"]
    announced = {key.id for key in keys if key.state == "pending"}
    return render_template(
        "domains/dkim.html",
        domain=domain,
        title=to_unicode(domain.name),
        zone=organisational(domain.name),
        state=life.state(domain),
        keys=[(key, _since(key), happens(domain, key, chosen, now)) for key in keys],
        records=[r for r in records if r.record.key_id in announced or r.status != "verified"],
        offers_cname=bool(chosen.zone),
        months=chosen.rotate_months,
        announce_days=chosen.announce_days,
        suggest=suggested,
        **words.TABLES,
    )


@bp.post("/<name>/dkim/rotate")
def rotate(name: str) -> ResponseReturnValue:
    domain = own(name)
    chosen = settings()
    try:
        master_key = chosen.master_key_bytes()
        pairs = prepared(chosen.dkim)
        with writing() as session:
            mine = own_to_change(session, name)
            made = steps.begin(
                session,
                mine,
                utcnow(),
                own=chosen.dkim,
                master_key=master_key,
                prefix=chosen.brand.prefix,
                pairs=pairs,
            )
            note(session, "dkim_rotate", mine.name, selectors=[key.selector for key in made])
            asked = any(key.method == "txt" for key in made)
    except (Refused, SettingsError) as reason:
        flash(_refusal(reason), "warning")
    else:
        flash(
            "A new key is made. Publish its record below; it signs as soon as everybody sees it."
            if asked
            else "A new key is made. It signs as soon as everybody sees it; you have nothing to do."
        )
    return redirect(url_for("domains.dkim", name=domain.name))


@bp.post("/<name>/dkim/method")
def method(name: str) -> ResponseReturnValue:
    domain = own(name)
    form = MethodForm()
    chosen, before = settings(), domain.dkim_method
    if not form.validate() or form.way == before:
        return redirect(url_for("domains.dkim", name=domain.name))
    try:
        master_key = chosen.master_key_bytes()
        pairs = prepared(chosen.dkim)
        with writing() as session:
            mine = own_to_change(session, name)
            steps.switch_method(
                session,
                mine,
                form.way,
                utcnow(),
                own=chosen.dkim,
                master_key=master_key,
                prefix=chosen.brand.prefix,
                pairs=pairs,
            )
            note(session, "dkim_method", mine.name, before=before, after=form.way)
    except (Refused, SettingsError) as reason:
        flash(_refusal(reason), "warning")
    else:
        flash("Changed. The present key signs until the records below are seen.")
    return redirect(url_for("domains.dkim", name=domain.name))


def _refusal(reason: Exception) -> str:
    if isinstance(reason, SettingsError):
        return words.sentence_of(Refused(words.NO_MASTER_KEY))
    return words.sentence_of(reason)


def _since(key: DkimKey) -> datetime:
    """Since when it is what it is."""
    if key.state == "retiring" and key.retired_at:
        return key.retired_at
    if key.state == "active" and key.activated_at:
        return key.activated_at
    return key.created_at


def happens(domain: Domain, key: DkimKey, own: Dkim, now: datetime) -> str:
    """What comes next for this key, and what the customer has to do for it."""
    if key.state == "retiring":
        return _going(domain, key)
    if key.state == "pending":
        return _coming(key, now)
    if domain.verified_at is None:
        return "Signs as soon as the required records are found."
    turn = turn_of(key, own)
    if turn is None:
        return "Signs until you rotate it."
    asked = (
        f"{own.announce_days} days before, the next key is made and you are told its record."
        if domain.dkim_method == "txt"
        else "The next one takes over by itself."
    )
    return f"Signs until about {words.day(turn)}. {asked}"


def _going(domain: Domain, key: DkimKey) -> str:
    end = f" until {words.day(key.remove_at)}" if key.remove_at else ""
    if key.method == domain.dkim_method == "cname":
        return f"Signs no more. We keep it published{end}; nothing is asked of you."
    record = "CNAME" if key.method == "cname" else "record"
    return (
        f"Signs no more. Leave its {record}{end}: mail that is under way is still verified with"
        f" it. Then delete the {record}."
    )


def _coming(key: DkimKey, now: datetime) -> str:
    later = key.activate_at is not None and key.activate_at > now
    turn = f" from {words.day(key.activate_at)} on" if key.activate_at and later else " soon"
    if key.seen_at is not None:
        return f"Everybody sees its record. It signs{turn}."
    if key.method == "cname":
        return f"Is being published behind your CNAME. It signs{turn}, once everybody sees it."
    until = f" before {words.day(key.activate_at)}" if key.activate_at and later else ""
    return (
        f"Publish its record below{until}, beside the present one. It signs once everybody sees"
        " it; the present key signs until then."
    )
