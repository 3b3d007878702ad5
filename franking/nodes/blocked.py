"""Receivers that refuse mail because of this node's address: on a blocklist, or by its name.

That is for the operator to cure, so nobody is suppressed for it.  A receiver is the organisational
domain of its mail server: all of a provider's servers are one.  Only the node itself writes its
rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking import log
from franking.domains.names import organisational
from franking.nodes.models import AddressBlock

FRESH = timedelta(days=1)  # it counts as blocked for so long after the last refusal
ALARM_EVERY = timedelta(hours=1)
LONGEST_REPLY = 1000

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Refusal(NamedTuple):
    """`receiver` is the name of the server, or the recipient's domain."""

    receiver: str
    at: datetime
    remote_ip: str | None
    reply: str
    queue_id: str


def record(session: Session, node: str, refusals: Sequence[Refusal]) -> None:
    """Count them; the log says so once an hour for each receiver."""
    grouped: dict[str, list[Refusal]] = {}
    for refusal in refusals:
        grouped.setdefault(_receiver(refusal.receiver), []).append(refusal)
    for receiver, said in sorted(grouped.items()):
        _record(session, node, receiver, said)


def _record(session: Session, node: str, receiver: str, said: Sequence[Refusal]) -> None:
    last = max(said, key=lambda refusal: refusal.at)
    key = (AddressBlock.node == node, AddressBlock.receiver == receiver)
    seen = session.scalar(select(AddressBlock.last_at).where(*key))
    begins = seen is None or last.at - seen > FRESH
    _write(session, node, receiver, said, begins=begins)
    if seen is None or last.at - seen >= ALARM_EVERY:
        log.address_blocked(receiver, last.remote_ip, last.reply, last.queue_id)


def _write(
    session: Session, node: str, receiver: str, said: Sequence[Refusal], *, begins: bool
) -> None:
    """`begins`: what there was is over for so long that it is counted anew."""
    last = max(said, key=lambda refusal: refusal.at)
    connection = session.connection()
    there = AddressBlock.__table__.c
    values = {
        "last_at": last.at,
        "remote_ip": last.remote_ip,
        "reply": last.reply[:LONGEST_REPLY],
        "queue_id": last.queue_id,
    }
    new = {"first_at": min(refusal.at for refusal in said), "refusals": len(said)}
    made = _INSERTS[connection.dialect.name](AddressBlock.__table__)
    again = new if begins else {"refusals": there.refusals + len(said)}
    connection.execute(
        made.values(node=node, receiver=receiver, **new, **values).on_conflict_do_update(
            index_elements=["node", "receiver"], set_=values | again
        )
    )


def _receiver(host: str) -> str:
    name = host.lower().rstrip(".")
    try:
        ip_address(name)
    except ValueError:
        return organisational(name)[:253]
    return name


def present(session: Session, now: datetime, node: str | None = None) -> Sequence[AddressBlock]:
    """Who refuses us at present, the latest first; of all nodes unless one is given."""
    query = select(AddressBlock).where(AddressBlock.last_at > now - FRESH)
    if node is not None:
        query = query.where(AddressBlock.node == node)
    return session.scalars(query.order_by(AddressBlock.last_at.desc())).all()
