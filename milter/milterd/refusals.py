"""Refusals become events that the customer can see; at most `cap.REFUSALS` an account and minute.

A client in a loop would otherwise fill the table.  The event has a transaction of its own.
"""

from __future__ import annotations

import threading
import time

from franking import log
from franking.db import Database, utcnow
from franking.mail import cap, events
from franking.patience import within
from milterd.message import Message
from milterd.verdict import Refusal

LONGEST = 1.5  # seconds; the client waits meanwhile


class RefusalLog:
    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node
        self._lock = threading.Lock()
        self._cap = cap.PerMinute(cap.REFUSALS, time.monotonic)

    def record(self, refusal: Refusal, message: Message, queue_id: str) -> None:
        """A temporary one is our trouble, and one without an account is nobody's to see."""
        owner, reply = refusal.authority, refusal.reply
        log.refused(queue_id, reply.key, reply.text, owner.account_id if owner else None)
        if owner is None or not self._admitted(owner.account_id):
            return
        with within(LONGEST), self._database.transaction() as session:
            events.record_refusal(
                session,
                account_id=owner.account_id,
                credential_id=owner.credential_id,
                node=self._node,
                smtp_code=reply.code,
                enhanced_code=reply.enhanced,
                text=reply.text,
                key=reply.key,
                sender=_storable(message.author or message.sender),
                recipient=_only(message.recipients),
                queue_id=queue_id,
                detail={"recipients": len(message.recipients)},
                now=utcnow(),
            )

    def _admitted(self, account_id: int) -> bool:
        with self._lock:
            admitted = self._cap.admit(account_id)
            for capped, count in self._cap.capped():
                log.refusals_capped(capped, count)
            return admitted


def _only(recipients: list[str]) -> str | None:
    """The event names the recipient when there is one; a reply at the end is about them all."""
    return _storable(recipients[0]) if len(recipients) == 1 else None


def _storable(address: str) -> str:
    """A refused address may contain anything; PostgreSQL takes no NUL."""
    return address.replace("\0", "?")
