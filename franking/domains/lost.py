"""What the relay's own zone was told and does not have: its server was restored, or is another.

Only what a look at a domain has heard from the zone itself counts, never silence.  What it has lost
is told again (`publication`), because the row says that nothing was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from franking.domains import keys, relayzone
from franking.domains.models import DkimKey, DnsCheck, Domain, ZoneEntry
from franking.domains.records import dkim_value

if TYPE_CHECKING:
    from franking.domains.checks import Finding

KEY_NOT_IN_ZONE, MOVED = "key_not_in_zone", "relay_zone_moved"
ASKED = 5  # keys, to see whether the zone is whole
SETTLED = timedelta(minutes=10)  # a zone's secondary servers may be so late


def mend(
    session: Session, domain: Domain, findings: Sequence[Finding], now: datetime, zone: str
) -> list[str]:
    """Of a domain that is locked, before its findings are written.

    Returns the names of keys that sign, that nobody can see, and that were there in the last look.
    """
    query = select(DnsCheck.name, DnsCheck.fault).where(
        DnsCheck.domain_id == domain.id, DnsCheck.fault.in_((KEY_NOT_IN_ZONE, MOVED))
    )
    before = {(name, fault) for name, fault in session.execute(query)}
    missing = [f.record for f in findings if f.fault == KEY_NOT_IN_ZONE]
    if missing or any(f.fault == MOVED for f in findings):
        _tell_again(session, domain, {each.value for each in missing}, now, zone)
    _leave_old_zone(session, domain, findings, {n for n, f in before if f == MOVED}, zone)
    if domain.verified_at is None or domain.suspended_at is not None:
        return []
    return [each.name for each in missing if (each.name, KEY_NOT_IN_ZONE) not in before]


def _tell_again(
    session: Session, domain: Domain, missing: set[str], now: datetime, zone: str
) -> None:
    """All of the domain, also what its old keys have signed: the zone loses more than one name."""
    behind = [key for key in keys.keys_of(session, domain) if key.method == "cname"]
    names = {relayzone.target(domain, key.selector, zone) for key in behind} - {None}
    entries = relayzone.lock(session, [name for name in names if name])
    if len(entries) < len(names):
        domain.dkim_due_at = now  # `dkim.zone` is another: the rotation makes the rows
    told = [each for each in entries.values() if _settled(each, now)]
    if any(each.name in missing for each in told):
        for entry in told:
            entry.published = None
        session.flush()


def _settled(entry: ZoneEntry, now: datetime) -> bool:
    at = entry.published_at
    return entry.published == entry.value and (at is None or at <= now - SETTLED)


def _leave_old_zone(
    session: Session, domain: Domain, findings: Sequence[Finding], moved: set[str], zone: str
) -> None:
    """Once its CNAMEs lead to the new one: nobody asks for the old rows any more."""
    if not moved or any(f.record.name in moved and f.status != "verified" for f in findings):
        return
    old = [n for n in relayzone.names_of(session, domain) if not relayzone.inside(n, zone)]
    for entry in relayzone.lock(session, old).values():
        session.delete(entry)
    session.flush()


# --- for the operator ------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """What the relay's zone must have: `keys`, name and text of some that sign and that its server
    was told of.  `outside`: how many records are in no zone of ours any more, though customers'
    CNAMEs may lead there; `first` is one of them."""

    keys: Sequence[tuple[str, str]] = ()
    outside: int = 0
    first: str = ""


def known(session: Session, zone: str, now: datetime) -> Known:
    is_outside: ColumnElement[bool] = ZoneEntry.value.is_not(None)
    if zone:
        below = ZoneEntry.name.endswith(f".{zone}", autoescape=True)
        is_outside &= ~or_(below, ZoneEntry.name == zone)
    query = select(func.count(), func.min(ZoneEntry.name)).where(is_outside)
    outside, first = session.execute(query).one()
    return Known(_some(session, zone, now), outside, first or "")


def _some(session: Session, zone: str, now: datetime) -> list[tuple[str, str]]:
    query = (
        select(Domain, DkimKey)
        .join(DkimKey, DkimKey.domain_id == Domain.id)
        .where(
            Domain.verified_at.is_not(None), Domain.suspended_at.is_(None),
            DkimKey.state == "active", DkimKey.method == "cname",
        )
        .order_by(func.random())
        .limit(ASKED)
    )  # fmt: skip
    found = []
    for domain, key in session.execute(query):
        entry = relayzone.entry_of(session, domain, key, zone)
        if entry is not None and entry.value == dkim_value(key) and _settled(entry, now):
            found.append((entry.name, dkim_value(key)))
    return found
