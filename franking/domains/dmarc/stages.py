"""From p=none to p=reject without fear: when the next policy can come, and which record it is.

    none ──N days, ≥ share of own mail aligned, no large source without a verdict──▶ quarantine
    ──the same again──▶ reject

The stage is what is published (`observe`, called with what the check has found), never what
somebody meant to publish.  `next_step` says what is next and, as long as it is not offered, why
not.  A step back needs no permission.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.domains.config import Dmarc
from franking.domains.dmarc import summary
from franking.domains.dmarc.record import Policy, is_dmarc, parse, record_for, report_address
from franking.domains.dmarc.stage import STAGES, Stage, above
from franking.domains.dmarc.summary import SourceRow, Volume
from franking.domains.models import DnsCheck, Domain
from franking.domains.records import RelayNames
from franking.notices import notices
from franking.notices.models import Notice
from franking.reasons import Invalid

FEWEST_DAYS, MOST_DAYS = 15, 45  # of one stage: 30 to 90 for the whole way
REPORTED_DAYS = 7  # on which own mail must have been reported
READY = "dmarc.ready"
NOTHING = Volume(0, 0, 0)
BACK = (
    "You can go back at any time: publish the milder policy, and receivers follow it as soon as"
    " the record's TTL is over."
)


@dataclass(frozen=True)
class Step:
    """`record`: the exact text for `_dmarc.<domain>` at the stage `next`; `obstacles`: why it is
    too early for it, a sentence each.  `present` is None while nothing is published.

    `unjudged`: the sources that the customer is asked about, each also an obstacle.  `back`: the
    text of the record at the stage before; None where there is none.
    """

    present: Stage | None
    next: Stage
    record: str
    obstacles: tuple[str, ...] = ()
    days: int = 0
    volume: Volume = NOTHING
    back: str | None = None
    unjudged: tuple[SourceRow, ...] = ()

    @property
    def offered(self) -> bool:
        return not self.obstacles


def observe(
    session: Session, domain: Domain, published: Policy | str | None, now: datetime
) -> None:
    """The DNS has this record at `_dmarc.<domain>`, or none (None), or one that receivers cannot
    read.  Not to be called when the DNS did not answer."""
    policy = _readable(published) if isinstance(published, str) else published
    if policy is None:
        domain.dmarc_stage, domain.dmarc_since = "none", None
    elif domain.dmarc_since is None or domain.dmarc_stage != policy.stage:
        domain.dmarc_stage, domain.dmarc_since = policy.stage, now
    session.flush()


def set_days(session: Session, domain: Domain, days: int) -> None:
    """How long each stage lasts at least; raises Invalid."""
    if not FEWEST_DAYS <= days <= MOST_DAYS:
        raise Invalid.of("days", f"a stage lasts {FEWEST_DAYS} to {MOST_DAYS} days, not {days}")
    domain.dmarc_days = days
    session.flush()


def days_of(domain: Domain) -> int:
    """How long each of its stages lasts at least; what is stored may be older than the limits."""
    return min(max(domain.dmarc_days, FEWEST_DAYS), MOST_DAYS)


def next_step(
    session: Session, domain: Domain, now: datetime, own: Dmarc, relay: RelayNames
) -> Step | None:
    """None at the last stage: p=reject for all mail."""
    if domain.dmarc_since is None:
        return Step(None, "none", record_for(domain, relay))
    present = cast(Stage, domain.dmarc_stage)
    following = above(present)
    if following is None:
        return None
    since = max(domain.dmarc_since, now - timedelta(days=days_of(domain)))
    days = summary.daily(session, domain, since)
    volume = summary.volume(days)
    unjudged = tuple(summary.unjudged(session, domain, since, days))
    return Step(
        present,
        following,
        record_at(session, domain, following, relay),
        (*_obstacles(domain, now, volume, own, relay), *map(_question, unjudged)),
        (now - domain.dmarc_since).days,
        volume,
        back(session, domain, relay),
        unjudged,
    )


def record_at(session: Session, domain: Domain, stage: Stage, relay: RelayNames) -> str:
    """What is published, with this policy and with reports to us; all else stays as it is."""
    policy = _readable(published(session, domain)) or parse(record_for(domain, relay))
    address = report_address(domain, relay)
    if address:
        policy = policy.reporting_to(f"mailto:{address}")
    return str(policy.at(stage))


def back(session: Session, domain: Domain, relay: RelayNames) -> str | None:
    """The record of the milder stage; None while there is none."""
    place = STAGES.index(cast(Stage, domain.dmarc_stage))
    return record_at(session, domain, STAGES[place - 1], relay) if place else None


def published(session: Session, domain: Domain) -> str | None:
    """The record that the last check has found."""
    query = select(DnsCheck.found).where(
        DnsCheck.domain_id == domain.id, DnsCheck.purpose == "dmarc"
    )
    for found in session.scalars(query):
        records = [text for text in found if is_dmarc(text)]
        if len(records) == 1:
            return records[0]
    return None


def announce(
    session: Session, domain: Domain, now: datetime, own: Dmarc, relay: RelayNames
) -> bool:
    """Tell the customer that the next policy can come, once for each stage."""
    step = next_step(session, domain, now, own, relay)
    if step is None or not step.offered or domain.dmarc_since is None:
        return False
    since = (Notice.kind == READY) & (Notice.at >= domain.dmarc_since)
    told = session.scalars(select(Notice).where(Notice.account_id == domain.account_id, since))
    if any(
        (each.detail.get("domain"), each.detail.get("policy")) == (domain.name, step.next)
        for each in told
    ):
        return False
    detail = {"domain": domain.name, "policy": step.next, "record": step.record}
    notices.give(session, domain.account_id, READY, detail, now)
    return True


def _obstacles(
    domain: Domain, now: datetime, volume: Volume, own: Dmarc, relay: RelayNames
) -> list[str]:
    assert domain.dmarc_since is not None
    found = []
    if report_address(domain, relay) is None:
        found.append("This relay receives no reports, so nobody knows what would be rejected.")
    age = (now - domain.dmarc_since).days
    if age < days_of(domain):
        found.append(
            f"p={domain.dmarc_stage} has been published for {_days(age)} of {days_of(domain)}."
        )
    if volume.days < REPORTED_DAYS:
        found.append(
            f"Receivers have reported mail of yours on {_days(volume.days)};"
            f" it takes {REPORTED_DAYS}."
        )
    if volume.messages and volume.share < own.share:
        failed = volume.messages - volume.aligned
        found.append(
            f"{volume.share:.1f} % of your mail was aligned, {failed:,} of {volume.messages:,}"
            f" messages were not; it takes {own.share:g} %."
        )
    return found


def _question(row: SourceRow) -> str:
    return (
        f"{row.messages:,} messages came from {row.source}, and {row.failed:,} of them failed:"
        " say whether they are yours."
    )


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def _readable(text: str | None) -> Policy | None:
    if text is None:
        return None
    try:
        return parse(text)
    except Invalid:
        return None
