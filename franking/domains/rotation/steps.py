"""DKIM keys come and go without a message that cannot be verified.

    pending ──seen everywhere, and its turn──▶ active ──its successor signs──▶ retiring ──▶ gone

A key is made `announce_days` before the present one is `rotate_months` old.  It signs once its turn
has come and its record was seen, at the authoritative servers and at every configured resolver, for
as long as an answer may be cached (`zone_ttl`, and of a customer's own record `dns.ttl`).  So a
customer who never publishes it keeps the old key, and is reminded.  The old key's record stays for
the longest life in a queue and `keep_days` more; mail that waits in our hold queue prolongs that.

Behind CNAMEs there are two slots.  What is in a slot is not replaced before its key is gone: a
receiver that has the mail must find the key that has signed it.

`step` moves one domain on; it may be called at any time, any number of times.  It asks no DNS:
`preview` says what to ask before, and which keys to make, outside of a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from franking.domains import keys, locks, relayzone
from franking.domains.config import Dkim
from franking.domains.dkim import Pairs
from franking.domains.models import DkimKey, Domain
from franking.domains.records import Record
from franking.domains.rotation import clocks, selectors, turns
from franking.domains.rotation.succession import Seen, Succession, key_record
from franking.reasons import Invalid, NotFound, Taken

Method = Literal["txt", "cname"]


def due(session: Session, now: datetime, limit: int) -> Sequence[int]:
    """Ids of domains whose keys want to be looked at, the longest waiting first.  What is due later
    than can be was written by a clock that was ahead, and is due."""
    impossible = Domain.dkim_due_at > now + turns.LONGEST
    query = select(Domain.id).where(or_(Domain.dkim_due_at <= now, impossible))
    return session.scalars(query.order_by(Domain.dkim_due_at, Domain.id).limit(limit)).all()


def postpone(session: Session, domain_id: int, until: datetime) -> None:
    """Look at it again then, and not before; nothing for a domain that was removed."""
    waiting = (Domain.id == domain_id) & Domain.dkim_due_at.is_not(None)
    session.execute(update(Domain).where(waiting).values(dkim_due_at=until))


@dataclass(frozen=True)
class Preview:
    """What `step` will need.  `questions`: the records that it asks `seen` for; `to_make`: the
    algorithms of keys that it will make; `untold`: names of records that the relay's own zone
    should have had for a day."""

    questions: Sequence[Record] = ()
    to_make: Sequence[str] = ()
    untold: Sequence[str] = ()


def preview(
    session: Session, domain: Domain, now: datetime, own: Dkim, prefix: str = "frank"
) -> Preview:
    """Reads only, and is not binding: what has changed meanwhile, `step` does without."""
    if not _in_use(domain):
        return Preview()
    at = Succession(session, domain, now, own, prefix=prefix)
    asked = [key_record(domain, key) for key in at.present("pending") if at.in_zone(key)]
    return Preview(asked, at.to_make(), at.untold())


def step(
    session: Session,
    domain: Domain,
    now: datetime,
    *,
    own: Dkim,
    master_key: bytes,
    seen: Seen,
    prefix: str = "frank",
    ttl: int = turns.TTL,
    pairs: Pairs | None = None,
    removing: bool = True,
) -> list[str]:
    """Do what is due for a domain; returns what was done, in words.

    `prefix` is the brand's; `ttl`: seconds, of customers' records (`dns.ttl`); `pairs`: keys that
    were made beforehand; `removing`: whether `now` can be believed to be that late.
    """
    _lock(session, domain)
    at = Succession(session, domain, now, own, master_key, prefix, ttl, pairs)
    if domain.removed_at is not None:
        for key in at.present():
            at.delete(key)
        at.settle(None)
        return []
    clocks.heal(at.present(), now, own)
    done = at.remove_old() if removing else []
    if _in_use(domain):
        done += at.announce() + at.activate(seen)
    at.settle(turns.next_look(at.present(), now, own, ttl))
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
    pairs: Pairs | None = None,
) -> Sequence[DkimKey]:
    """Rotate as soon as the new records are seen; returns the pending keys.

    Those that wait already are only hurried.  `pairs`: of `keys.prepared`, made before the
    transaction began.  Raises Invalid, Taken.
    """
    _lock(session, domain)
    if domain.verified_at is None:
        raise Invalid(f"{domain.name} is not verified: its keys have not signed anything yet")
    if selector is not None and domain.dkim_method == "cname":
        raise Invalid.of("selector", f"{domain.name} has CNAMEs of fixed selectors")
    base = selectors.checked(selector) if selector is not None else None
    at = Succession(session, domain, now, own, master_key, prefix, pairs=pairs)
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
    pairs: Pairs | None = None,
) -> Sequence[DkimKey]:
    """Publish keys by CNAMEs into the relay's zone, or as TXT records; returns the keys to come.

    The present key signs until the new way's records are seen.  Raises Invalid, NotFound, Taken.
    """
    if method == "cname" and not own.zone:
        raise Invalid.of("method", "this relay has no zone for CNAMEs to point to (dkim.zone)")
    _lock(session, domain)
    if domain.removed_at is not None:
        raise NotFound(f"{domain.name} was removed")
    at = Succession(session, domain, now, own, master_key, prefix)
    if domain.dkim_method == method:
        return at.present("pending")
    domain.dkim_method = method
    if domain.verified_at is None:
        return keys.first_keys(
            session, domain, master_key, own=own, prefix=prefix, now=now, pairs=pairs
        )
    if own.zone:
        domain.dkim_token = domain.dkim_token or relayzone.new_token()
    for key in at.present("pending"):  # it has never signed
        at.delete(key)
    if all(key.method == method for key in at.present("active")):
        at.settle(now)  # back again, before anything came of it
        return []
    return begin(session, domain, now, own=own, master_key=master_key, prefix=prefix, pairs=pairs)


def _in_use(domain: Domain) -> bool:
    return domain.verified_at is not None and domain.suspended_at is None


def _lock(session: Session, domain: Domain) -> None:
    """As it is now, and nobody else's until this transaction ends."""
    locks.lock(session, domain)
