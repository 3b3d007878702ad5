"""What the list of domains says of each: its state, its key's age, and the next thing to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from franking.domains import life
from franking.domains.found import Shown
from franking.domains.listing import Listed
from franking.domains.models import DkimKey, Domain
from franking.domains.names import to_unicode
from webpanel.domains import words


@dataclass(frozen=True)
class Next:
    """A thing to do, and the page where it is done."""

    text: str
    endpoint: str = "domains.show"


@dataclass(frozen=True)
class Row:
    domain: Domain
    title: str
    state: str
    next: Next | None
    dkim: str
    dmarc: str


def row(listed: Listed, now: datetime) -> Row:
    domain = listed.domain
    return Row(
        domain,
        to_unicode(domain.name),
        life.state(domain),
        next_thing(listed),
        _age(listed.keys, now),
        _dmarc(domain, listed.records),
    )


def next_thing(listed: Listed) -> Next | None:
    """The one that matters most; None when all is well."""
    required = [row for row in listed.records if row.record.required]
    lacking = [row for row in required if row.status != "verified"]
    if all(row.status == "not_started" for row in required):
        return Next(f"Publish {words.records(len(required))}")
    if lacking:
        there = f"{len(required) - len(lacking)} of {len(required)} found"
        return Next(f"{words.named(lacking)}: {words.worst(lacking)} ({there})")
    if listed.domain.verified_at is None:
        return Next("See why it is not ready")
    return _better(listed)


def _better(listed: Listed) -> Next | None:
    """What can be done for a domain that works."""
    announced = [key for key in listed.keys if key.state == "pending" and key.seen_at is None]
    if any(key.method == "txt" for key in announced):
        return Next("Publish the next DKIM key", "domains.dkim")
    advised = [
        row for row in listed.records if not row.record.required and row.status in words.TO_DO
    ]
    if advised:
        return Next(f"Advised: {words.named(advised)}")
    if listed.ready_for is not None:
        return Next(f"DMARC: p={listed.ready_for} can come", "domains.dmarc")
    return None


def _age(keys: Sequence[DkimKey], now: datetime) -> str:
    """Of the oldest that signs."""
    since = [key.activated_at for key in keys if key.state == "active" and key.activated_at]
    return words.days((now - min(since)).days) if since else "–"


def _dmarc(domain: Domain, records: Sequence[Shown]) -> str:
    there = any(row.record.purpose == "dmarc" and row.status == "verified" for row in records)
    return f"p={domain.dmarc_stage}" if there else "no record"
