"""An account's domains by name, a page at a time, each with its keys and the state of its records.

What `franking.domains.found.statuses` says of one domain is said here of many with four queries.
Whether a stricter DMARC policy can come is known from the notice about it: reports are many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.domains.dmarc.stage import Stage, above
from franking.domains.dmarc.stages import READY
from franking.domains.found import Shown, shown
from franking.domains.models import DkimKey, DnsCheck, Domain
from franking.domains.records import RelayNames, expected_records
from franking.notices.models import Notice

MOST_NOTICES = 500


@dataclass(frozen=True)
class Listed:
    """`ready_for`: the DMARC policy that the customer was told can come."""

    domain: Domain
    keys: Sequence[DkimKey]
    records: Sequence[Shown]
    ready_for: Stage | None = None


def page(
    session: Session, account: Account, relay: RelayNames, *, after: str = "", limit: int
) -> list[Listed]:
    """The first `limit` of those whose names come after `after`."""
    own = (Domain.account_id == account.id) & Domain.removed_at.is_(None) & (Domain.name > after)
    domains = session.scalars(select(Domain).where(own).order_by(Domain.name).limit(limit)).all()
    ids = [domain.id for domain in domains]
    keys: dict[int, list[DkimKey]] = defaultdict(list)
    query = select(DkimKey).where(DkimKey.domain_id.in_(ids)).order_by(DkimKey.id)
    for key in session.scalars(query):
        keys[key.domain_id].append(key)
    checks = {
        (row.domain_id, row.purpose, row.name): row
        for row in session.scalars(select(DnsCheck).where(DnsCheck.domain_id.in_(ids)))
    }
    ready = _ready(session, account)
    return [
        Listed(
            domain,
            keys[domain.id],
            [
                shown(record, checks.get((domain.id, record.purpose, record.name)))
                for record in expected_records(domain, keys[domain.id], relay)
            ],
            _next(domain, ready),
        )
        for domain in domains
    ]


def _ready(session: Session, account: Account) -> dict[tuple[str, str], datetime]:
    """When it was said, by domain and policy."""
    told = (Notice.account_id == account.id) & (Notice.kind == READY)
    query = select(Notice).where(told).order_by(Notice.id.desc()).limit(MOST_NOTICES)
    return {
        (str(row.detail.get("domain")), str(row.detail.get("policy"))): row.at
        for row in reversed(session.scalars(query).all())
    }


def _next(domain: Domain, ready: dict[tuple[str, str], datetime]) -> Stage | None:
    following = above(cast(Stage, domain.dmarc_stage))
    if following is None or domain.dmarc_since is None:
        return None
    told = ready.get((domain.name, following))
    return following if told is not None and told >= domain.dmarc_since else None
