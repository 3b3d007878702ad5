"""Tells a customer once of each source that is new: not of the relay, not of a handful of
messages, and at most once a day, all in one notice.  A forger has a new network every minute."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.domains.dmarc import sources
from franking.domains.dmarc.models import DmarcSource
from franking.domains.models import Domain
from franking.notices import notices

NEW_SOURCE = "dmarc.new_source"
OF_SERVICE = 10  # messages, before a known service is worth a notice
OF_UNKNOWN = 50  # messages, before an unknown network is
DAY = timedelta(days=1)
SHOWN = 5  # services by name; unknown networks are counted


def tell(session: Session, domain: Domain, now: datetime) -> bool:
    """Whether there was something to tell."""
    mine = DmarcSource.domain_id == domain.id
    if session.scalar(select(DmarcSource.source).where(mine, DmarcSource.told_at > now - DAY)):
        return False
    untold = mine & DmarcSource.told_at.is_(None) & DmarcSource.verdict.is_(None)
    enough = DmarcSource.messages >= OF_SERVICE
    new = [
        each
        for each in session.scalars(
            select(DmarcSource)
            .where(untold, enough, DmarcSource.source != sources.RELAY)
            .order_by(DmarcSource.messages.desc(), DmarcSource.source)
        )
        if each.messages >= OF_UNKNOWN or not sources.is_unknown(each.source)
    ]
    if not new:
        return False
    detail = {
        "domain": domain.name,
        "source": _names([each.source for each in new]),
        "count": len(new),
        "messages": sum(each.messages for each in new),
    }
    notices.give(session, domain.account_id, NEW_SOURCE, detail, now)
    for each in new:
        each.told_at = now
    session.flush()
    return True


def _names(found: list[str]) -> str:
    """`Amazon SES, Mailchimp and 3 unknown networks`."""
    services = [name for name in found if not sources.is_unknown(name)]
    unknown = [name.removeprefix(sources.UNKNOWN) for name in found if sources.is_unknown(name)]
    names = services[:SHOWN]
    if len(services) > SHOWN:
        names.append(f"{len(services) - SHOWN} more services")
    if len(unknown) == 1:
        names.append(f"the unknown network {unknown[0]}")
    elif unknown:
        names.append(f"{len(unknown)} unknown networks")
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
