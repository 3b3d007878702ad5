"""DKIM keys come and go without a message that cannot be verified.

    pending ──seen everywhere, and its turn──▶ active ──its successor signs──▶ retiring ──▶ gone

A key is made `announce_days` before the present one is `rotate_months` old.  It signs once its turn
has come and its record was seen, at the authoritative servers and at every configured resolver, for
as long as an answer may be cached (`zone_ttl`).  So a customer who never publishes it keeps the old
key, and is reminded.  The old key's record stays for the longest life in a queue and `keep_days`
more; mail that waits in our hold queue prolongs that.

Behind CNAMEs there are two slots.  What is in a slot is not replaced before its key is gone: a
receiver that has the mail must find the key that has signed it.

`step` moves one domain on; it may be called at any time, any number of times.  It asks no DNS:
`questions` says what to ask before, outside of a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from franking.domains import keys, relayzone
from franking.domains.config import Dkim
from franking.domains.models import DkimKey, Domain
from franking.domains.records import Record
from franking.domains.rotation import selectors, turns
from franking.domains.rotation.succession import Seen, Succession, key_record
from franking.reasons import Invalid, Taken

__all__ = [
    "Seen",
    "begin",
    "due",
    "key_record",
    "postpone",
    "questions",
    "step",
    "switch_method",
]

Method = Literal["txt", "cname"]


def due(session: Session, now: datetime, limit: int) -> Sequence[int]:
    """Ids of domains whose keys want to be looked at, the longest waiting first."""
    query = select(Domain.id).where(Domain.dkim_due_at <= now)
    return session.scalars(query.order_by(Domain.dkim_due_at, Domain.id).limit(limit)).all()


def postpone(session: Session, domain_id: int, until: datetime) -> None:
    """Look at it again then, and not before; nothing for a domain that was removed."""
    waiting = (Domain.id == domain_id) & Domain.dkim_due_at.is_not(None)
    session.execute(update(Domain).where(waiting).values(dkim_due_at=until))


def questions(session: Session, domain: Domain, now: datetime, own: Dkim) -> list[Record]:
    """The records that `step` would ask `seen` for."""
    if not _in_use(domain):
        return []
    at = Succession(session, domain, now, own)
    return [key_record(domain, key) for key in at.present("pending") if at.in_zone(key)]


def step(
    session: Session,
    domain: Domain,
    now: datetime,
    *,
    own: Dkim,
    master_key: bytes,
    seen: Seen,
    prefix: str = "frank",
) -> list[str]:
    """Do what is due for a domain; returns what was done, in words.  `prefix` is the brand's."""
    _lock(session, domain)
    at = Succession(session, domain, now, own, master_key, prefix)
    if domain.removed_at is not None:
        for key in at.present():
            at.delete(key)
        at.settle(None)
        return []
    done = at.remove_old()
    if _in_use(domain):
        done += at.announce() + at.activate(seen)
    at.settle(turns.next_look(at.present(), now, own))
    return done


def begin(
    session: Session,
    domain: Domain,
    now: datetime,
    *,
    own: Dkim,
    master_key: bytes,
    prefix: str = "frank",
    selector: str | None = None,
) -> Sequence[DkimKey]:
    """Rotate as soon as the new records are seen; returns the pending keys.

    Those that wait already are only hurried.  Raises Invalid, Taken.
    """
    _lock(session, domain)
    if domain.verified_at is None:
        raise Invalid(f"{domain.name} is not verified: its keys have not signed anything yet")
    if selector is not None and domain.dkim_method == "cname":
        raise Invalid.of("selector", f"{domain.name} has CNAMEs of fixed selectors")
    base = selectors.checked(selector) if selector is not None else None
    at = Succession(session, domain, now, own, master_key, prefix)
    for algorithm in selectors.algorithms(own):
        wanted = base and base + selectors.SUFFIX[algorithm]
        waiting = at.pending(algorithm)
        if waiting is None:
            at.add(algorithm, now, wanted)
        elif wanted and waiting.selector != wanted:
            raise Taken(f"{domain.name} has a new key already: {waiting.selector}")
        else:
            waiting.activate_at = min(waiting.activate_at or now, now)
    at.settle(now)
    return at.present("pending")


def switch_method(
    session: Session,
    domain: Domain,
    method: Method,
    now: datetime,
    *,
    own: Dkim,
    master_key: bytes,
    prefix: str = "frank",
) -> Sequence[DkimKey]:
    """Publish keys by CNAMEs into the relay's zone, or as TXT records; returns the keys to come.

    The present key signs until the new way's records are seen.  Raises Invalid, Taken.
    """
    if method == "cname" and not own.zone:
        raise Invalid.of("method", "this relay has no zone for CNAMEs to point to (dkim.zone)")
    _lock(session, domain)
    at = Succession(session, domain, now, own, master_key, prefix)
    if domain.dkim_method == method:
        return at.present("pending")
    domain.dkim_method = method
    if domain.verified_at is None:
        return keys.first_keys(session, domain, master_key, own=own, prefix=prefix, now=now)
    if own.zone:
        domain.dkim_token = domain.dkim_token or relayzone.new_token()
    for key in at.present("pending"):  # it has never signed
        at.delete(key)
    if all(key.method == method for key in at.present("active")):
        at.settle(now)  # back again, before anything came of it
        return []
    return begin(session, domain, now, own=own, master_key=master_key, prefix=prefix)


def _in_use(domain: Domain) -> bool:
    return domain.verified_at is not None and domain.suspended_at is None


def _lock(session: Session, domain: Domain) -> None:
    """As it is now, and nobody else's until this transaction ends."""
    session.flush()  # `refresh` would forget what was not written
    session.refresh(domain, with_for_update=True)
