"""Tells accounts about their balance and their caps: every few seconds, by one node for all that
share the database (rules: `franking.money.billing`: `alerts`, `caps`)."""

from __future__ import annotations

from datetime import timedelta

from franking.db import Database, utcnow
from franking.money.billing import alerts, caps
from franking.nodes import duties

NAME = "alerts"
LEASE = timedelta(minutes=1)


def look(database: Database, node: str, every: timedelta) -> int:
    """Returns how many were told; 0 when it is another node's turn."""
    now = utcnow()
    if not duties.begin(database, NAME, node, lease=LEASE, now=now, period=every):
        return 0
    told = alerts.look(database, now) + caps.look(database, now)
    with database.transaction() as session:
        duties.finish(session, NAME, node, due_at=now + every)
    return told
