"""`/domains/<name>/dmarc`: the policy and its next step, and who sends in the domain's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from franking.db import utcnow
from franking.domains import life
from franking.domains.dmarc import sources, stages, store, summary
from franking.domains.dmarc.stage import STAGES
from franking.domains.dmarc.summary import Day
from franking.domains.models import Domain
from franking.domains.names import to_unicode
from franking.reasons import Invalid, NotFound
from webpanel.billing.usage import ticks
from webpanel.database import reading, writing
from webpanel.domains import words
from webpanel.domains.about import bp, note, own, own_to_change, relay, settings
from webpanel.domains.forms import DaysForm, SourceForm

SPAN = 30  # days, at least


@dataclass(frozen=True)
class Bar:
    """A day; heights in thousandths of the chart's, from the bottom: aligned, failed, others."""

    figures: Day
    heights: tuple[int, int, int]


@dataclass(frozen=True)
class Chart:
    """`scale`: (value, its height in thousandths), from the bottom line up."""

    bars: tuple[Bar, ...]
    scale: tuple[tuple[int, int], ...]
    aligned: int
    failed: int
    others: int


@bp.get("/<name>/dmarc")
def dmarc(name: str) -> ResponseReturnValue:
    return _page(own(name))


@bp.post("/<name>/dmarc/days")
def dmarc_days(name: str) -> ResponseReturnValue:
    domain = own(name)
    form = DaysForm()
    if not form.validate():
        return _page(domain, form), 400
    try:
        with writing() as session:
            mine = own_to_change(session, name)
            before = mine.dmarc_days
            stages.set_days(session, mine, form.days.data or 0)
            if before != mine.dmarc_days:
                note(session, "dmarc_days", mine.name, before=before, after=mine.dmarc_days)
    except Invalid as reason:
        form.refused(reason)
        return _page(domain, form), 400
    flash("Saved.")
    return redirect(url_for("domains.dmarc", name=domain.name))


@bp.post("/<name>/dmarc/source")
def dmarc_source(name: str) -> ResponseReturnValue:
    domain = own(name)
    form = SourceForm()
    if not form.validate():
        raise NotFound("there is no such source")
    source, verdict = str(form.source.data), form.verdict.data or None
    with writing() as session:
        mine = own_to_change(session, name)
        store.set_verdict(session, mine, source, verdict)
        note(session, "dmarc_source", mine.name, source=source, verdict=verdict)
    flash(f"{source}: {words.VERDICTS[verdict]}.")
    return redirect(url_for("domains.dmarc", name=domain.name, _anchor="sources"))


def _page(domain: Domain, form: DaysForm | None = None) -> str:
    now = utcnow()
    chosen = settings().dmarc
    span = max(SPAN, stages.days_of(domain))
    since = now - timedelta(days=span)
    days = summary.daily(reading, domain, since)
    step = stages.next_step(reading, domain, now, chosen, relay())
    return render_template(
        "domains/dmarc.html",
        domain=domain,
        title=to_unicode(domain.name),
        state=life.state(domain),
        published=domain.dmarc_since is not None,
        ladder=ladder(domain),
        step=step,
        numbers=words.numbers(step, chosen.share) if step else "",
        back=stages.back(reading, domain, relay()) if domain.dmarc_since else None,
        back_text=stages.BACK,
        share=chosen.share,
        chart=chart(days, since.date(), now.date()),
        sources=summary.by_source(reading, domain, since),
        asked={row.source for row in step.unjudged} if step else set(),
        relay_source=sources.RELAY,
        span=span,
        fewest=stages.FEWEST_DAYS,
        most=stages.MOST_DAYS,
        form=form or DaysForm(formdata=None, days=stages.days_of(domain)),
        **words.TABLES,
    )


def ladder(domain: Domain) -> list[dict[str, object]]:
    """The three policies, with what has been reached."""
    published = domain.dmarc_since is not None
    place = STAGES.index(domain.dmarc_stage) if published else -1
    return [
        {
            "stage": stage,
            "text": words.POLICIES[stage],
            "reached": number <= place,
            "current": number == place,
            "since": domain.dmarc_since if number == place else None,
        }
        for number, stage in enumerate(STAGES)
    ]


def chart(days: Sequence[Day], first: date, last: date) -> Chart | None:
    """Every day of the time, also those without mail; None without any."""
    if not days:
        return None
    known = {day.day: day for day in days}
    first = min(first, *known)
    every = [first + timedelta(days=n) for n in range((max(last, *known) - first).days + 1)]
    filled = [known.get(day, Day(day)) for day in every]
    scale = ticks(max(day.own + day.others for day in filled))
    top = scale[-1] or 1
    return Chart(
        tuple(Bar(day, _heights(day, top)) for day in filled),
        tuple((tick, 1000 * tick // top) for tick in scale),
        sum(day.own_aligned for day in days),
        sum(day.own_failed for day in days),
        sum(day.others for day in days),
    )


def _heights(day: Day, top: int) -> tuple[int, int, int]:
    """What is there at all is seen."""
    aligned, failed, others = (
        max(1000 * count // top, 8) if count else 0
        for count in (day.own_aligned, day.own_failed, day.others)
    )
    return aligned, failed, others
