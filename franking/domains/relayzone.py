"""The relay's own zone: what it shall say.

Two kinds of TXT records live there: the keys that customers' CNAMEs lead to, and the permissions
to send us DMARC reports about customers' domains (RFC 7489 §7.1).  A row of `zone_entry` is what
one name shall have and what the zone's server was told; telling it is `franking.domains.
publication`.  Nothing here asks the DNS.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.domains.models import DkimKey, Domain, ZoneEntry
from franking.domains.names import within
from franking.domains.records import RelayNames, dkim_value, slot_target
from franking.tables import utcnow


def put(session: Session, name: str, value: str) -> ZoneEntry:
    """From now on the zone shall have this TXT record, and no other of this name."""
    entry = lock(session, [name]).get(name)
    if entry is None:
        entry = ZoneEntry(name=name)
        session.add(entry)
    entry.value = value
    session.flush()
    return entry


def withdraw(session: Session, name: str) -> None:
    """From now on the zone shall have nothing there."""
    entry = lock(session, [name]).get(name)
    if entry is None:
        return
    entry.value = None
    if entry.published is None:
        session.delete(entry)
    session.flush()


def inside(name: str, zone: str) -> bool:
    """Whether such a record can be in the relay's zone; there may be none."""
    return bool(zone) and within(name, [zone])


def target(domain: Domain, selector: str, zone: str) -> str | None:
    """The name that the CNAME of a slot leads to; None without a zone or a token."""
    if not (zone and domain.dkim_token):
        return None
    return slot_target(domain, selector, RelayNames(dkim_zone=zone))


def entry_of(session: Session, domain: Domain, key: DkimKey, zone: str) -> ZoneEntry | None:
    """The row of a key behind a CNAME."""
    name = target(domain, key.selector, zone) if key.method == "cname" else None
    return session.get(ZoneEntry, name) if name else None


def refresh(session: Session, domain: Domain, keys: Sequence[DkimKey], zone: str) -> None:
    """The domain's keys behind CNAMEs, whatever their state, are in the zone."""
    behind = [(target(domain, key.selector, zone), key) for key in keys if key.method == "cname"]
    wanted = {name: dkim_value(key) for name, key in behind if name}
    present = lock(session, wanted)
    for name, value in wanted.items():
        if name not in present or present[name].value != value:
            put(session, name, value)


def lock(session: Session, names: Collection[str]) -> dict[str, ZoneEntry]:
    """Those of these rows that there are, as they are now: everybody takes them by name."""
    query = select(ZoneEntry).where(ZoneEntry.name.in_(names)).order_by(ZoneEntry.name)
    query = query.with_for_update().execution_options(populate_existing=True)
    return {entry.name: entry for entry in session.scalars(query)} if names else {}


def names_of(session: Session, domain: Domain) -> Sequence[str]:
    """What there is of a domain's keys: below its token.  Reads the whole table."""
    if not domain.dkim_token:
        return []
    below = ZoneEntry.name.contains(f".{domain.dkim_token}.", autoescape=True)
    return session.scalars(select(ZoneEntry.name).where(below)).all()


def leave(session: Session, domain: Domain, now: datetime | None = None) -> None:
    """Another account has the domain now: what CNAMEs may still lead to answers nothing, and
    never will again, because the token is another one."""
    for name in lock(session, names_of(session, domain)):
        withdraw(session, name)
    domain.dkim_token = new_token() if domain.dkim_token else None
    domain.dkim_due_at = now or utcnow()
    session.flush()


def new_token() -> str:
    return secrets.token_hex(8)
