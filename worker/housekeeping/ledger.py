"""Recomputes the books once an hour and raises the alarm when they are wrong.

One node does it for all that share the database (`franking.nodes.duties`): whoever takes the row
`ledger` first.  It reads one moment (`Database.snapshot`), so mail goes on being paid meanwhile.
A node that dies over it is followed by another when its lease is over.
"""

from __future__ import annotations

from datetime import timedelta

from franking import log
from franking.db import Database, utcnow
from franking.money import verification
from franking.nodes import duties

NAME = "ledger"
EVERY = timedelta(hours=1)
LEASE = timedelta(minutes=50)


def check(database: Database, node: str) -> list[str] | None:
    """The differences that were found; None when it is not this node's turn."""
    now = utcnow()
    if not duties.begin(database, NAME, node, lease=LEASE, now=now, period=EVERY):
        return None
    with database.snapshot() as session:
        differences = verification.verify(session)
    if differences:
        log.ledger_wrong(differences[0], len(differences))
    else:
        log.ledger_verified((utcnow() - now).total_seconds())
    with database.transaction() as session:
        duties.finish(session, NAME, node, due_at=now + EVERY)
    return differences
