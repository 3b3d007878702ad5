"""The keys that one domain has: its first ones, one more, and none any longer.

When a key begins and ends is decided in `franking.domains.rotation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.domains import dkim, relayzone, used
from franking.domains.config import Dkim
from franking.domains.models import DkimKey, Domain
from franking.domains.rotation import selectors
from franking.reasons import Taken


def keys_of(session: Session, domain: Domain) -> Sequence[DkimKey]:
    """Oldest first."""
    query = select(DkimKey).where(DkimKey.domain_id == domain.id)
    return session.scalars(query.order_by(DkimKey.id)).all()


def prepared(own: Dkim) -> dkim.Pairs:
    """Key pairs for one domain's next keys: make them before the transaction begins."""
    return dkim.Pairs.of(selectors.algorithms(own))


def first_keys(
    session: Session,
    domain: Domain,
    master_key: bytes,
    *,
    own: Dkim,
    prefix: str,
    now: datetime,
    pairs: dkim.Pairs | None = None,
) -> Sequence[DkimKey]:
    """Keys of a domain that is not verified, in place of those it has; its method is set.

    They count as active at once: no mail is signed before the domain is verified, which needs
    their records to be visible.
    """
    for key in keys_of(session, domain):
        delete(session, domain, key, own.zone)
    if own.zone and not domain.dkim_token:
        domain.dkim_token = relayzone.new_token()
    for algorithm in selectors.algorithms(own):
        make(
            session, domain, master_key, own=own, prefix=prefix, algorithm=algorithm,
            state="active", activate_at=now, now=now, pairs=pairs,
        )  # fmt: skip
    made = keys_of(session, domain)
    relayzone.refresh(session, domain, made, own.zone)
    domain.dkim_due_at = now
    session.flush()
    return made


def make(
    session: Session,
    domain: Domain,
    master_key: bytes,
    *,
    own: Dkim,
    prefix: str,
    algorithm: str,
    state: str,
    activate_at: datetime,
    now: datetime,
    selector: str | None = None,
    pairs: dkim.Pairs | None = None,
) -> DkimKey:
    """A key published by the domain's method; `selector` is of TXT records only.

    Raises Taken when both slots hold keys that may not be replaced yet, or the selector was ever
    used for this domain.
    """
    if domain.dkim_method == "cname":
        chosen = _free_slot(selectors.slots_of(algorithm, prefix), keys_of(session, domain))
    elif selector is None:
        chosen = _dated(session, domain, own, activate_at, algorithm)
    elif used.claim(session, domain, selector):
        chosen = selector
    else:
        raise Taken(
            f"{domain.name} has had a key {selector} already: receivers may remember its record"
        )
    return dkim.create(
        session, domain, master_key, selector=chosen, algorithm=algorithm, state=state,
        method=domain.dkim_method, activate_at=activate_at, now=now, pairs=pairs,
    )  # fmt: skip


def _dated(session: Session, domain: Domain, own: Dkim, turn: datetime, algorithm: str) -> str:
    while True:
        chosen = selectors.dated(own, turn, algorithm, used.of(session, domain))
        if used.claim(session, domain, chosen):  # else another account was a moment faster
            return chosen


def free_slot(domain: Domain, prefix: str, algorithm: str, present: Sequence[DkimKey]) -> bool:
    """Whether `make` has a place for one more key."""
    slots = selectors.slots_of(algorithm, prefix)
    return domain.dkim_method != "cname" or not {key.selector for key in present}.issuperset(slots)


def _free_slot(slots: Sequence[str], present: Sequence[DkimKey]) -> str:
    used = {key.selector: key for key in present}
    for slot in slots:
        if slot not in used:
            return slot
    ends = [used[slot].remove_at for slot in slots]
    until = min((end for end in ends if end is not None), default=None)
    when = f" until {until:%Y-%m-%d %H:%MZ}" if until else ""
    raise Taken(
        f"both {' and '.join(slots)} are in use{when}: mail that one of them has signed may still"
        " be under way"
    )


def delete(session: Session, domain: Domain, key: DkimKey, zone: str) -> None:
    """With its private half and its record in the relay's zone; flushed, so that its slot is free
    at once."""
    entry = relayzone.entry_of(session, domain, key, zone)
    if entry is not None:
        relayzone.withdraw(session, entry.name)
    session.delete(key)
    session.flush()
