"""From a batch of lines to what has to be written; pure, the database is not asked yet.

Evidence (DESIGN §6): any line that only a committed queue file can cause captures the money; a
line that says that cleanup kept nothing voids it.  Should one batch hold both, Postfix has taken
the message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from franking.mail.events import Attempt
from franking.money.settling import Settled
from worker.maillog.parse import parse
from worker.maillog.recent import Recent
from worker.maillog.records import (
    POST_COMMIT,
    Active,
    Delivery,
    Expired,
    NotKept,
    Operator,
    PostCommit,
    Probe,
    Record,
    Requeued,
)

PARKED, DELETED = "log: postsuper placed on hold", "log: postsuper removed"
KINDS = {"sent": "delivered", "bounced": "bounced", "deferred": "deferred"}
KINDS["SOFTBOUNCE"] = "deferred"  # soft_bounce = yes


@dataclass(frozen=True)
class Sent:
    """A delivery under the queue ID with which the message was accepted."""

    queue_id: str
    delivery: Delivery
    kind: str
    tls: str | None

    def attempt(self, recipient: str) -> Attempt:
        said = self.delivery
        detail = {"agent": said.agent, "relay": said.relay, "tls": self.tls}
        if said.queue_id != self.queue_id:
            detail["requeued_as"] = said.queue_id
        return Attempt(
            self.queue_id, recipient, self.kind, said.at,
            smtp_code=said.smtp_code, enhanced_code=said.dsn[:12], reply=said.reply,
            remote_host=said.remote_host, remote_ip=said.remote_ip, delay=said.delay,
            detail={name: value for name, value in detail.items() if value},
        )  # fmt: skip


@dataclass
class Changes:
    evidence: dict[str, tuple[Settled, str]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    expired: dict[str, datetime] = field(default_factory=dict)
    released: dict[str, datetime] = field(default_factory=dict)  # from the hold queue
    removed: dict[str, datetime] = field(default_factory=dict)  # by an operator
    active: dict[str, str] = field(default_factory=dict)  # queue ID: user name of the client
    probes: list[str] = field(default_factory=list)

    def capture(self, queue_id: str, why: str) -> None:
        """What says that the message is on its way says more than what an operator did to it."""
        state, text = self.evidence.get(queue_id, ("voided", ""))
        if state != "captured" or text in {PARKED, DELETED}:
            self.evidence[queue_id] = ("captured", f"log: {why}")


def gather(
    lines: Iterable[bytes], recent: Recent, now: datetime, zone: tzinfo | None = None
) -> Changes:
    changes = Changes()
    for line in lines:
        record = parse(line, now, zone)
        if record is not None:
            recent.learn(record)
            _add(changes, record, recent)
    return changes


def _add(changes: Changes, record: Record, recent: Recent) -> None:
    if isinstance(record, POST_COMMIT):
        _add_committed(changes, record, recent)
    elif isinstance(record, NotKept):
        changes.evidence.setdefault(record.queue_id, ("voided", f"log: {record.why}"))
    elif isinstance(record, Requeued):
        changes.capture(recent.original(record.original), f"requeued as {record.queue_id}")
    elif isinstance(record, Probe):
        changes.probes.append(record.token)


def _add_committed(changes: Changes, record: PostCommit, recent: Recent) -> None:
    queue_id = recent.original(record.queue_id)
    changes.capture(queue_id, _what(record))
    if isinstance(record, Delivery):
        if kind := KINDS.get(record.status):
            changes.sent.append(Sent(queue_id, record, kind, recent.tls(record)))
    elif isinstance(record, Expired):
        changes.expired.setdefault(queue_id, record.at)
    elif isinstance(record, Operator):
        _add_operator(changes, queue_id, record)
    elif isinstance(record, Active) and record.queue_id in recent.clients:
        changes.active[record.queue_id] = recent.clients.pop(record.queue_id)


def _add_operator(changes: Changes, queue_id: str, record: Operator) -> None:
    """`requeued` leaves the hold queue too: the message goes on under a new queue ID."""
    if record.action in {"released from hold", "requeued"}:
        changes.released.setdefault(queue_id, record.at)
    elif record.action == "removed":
        changes.removed.setdefault(queue_id, record.at)


def _what(record: PostCommit) -> str:
    if isinstance(record, Active):
        return "queue active"
    if isinstance(record, Delivery):
        return f"{record.agent} status={record.status}"
    if isinstance(record, Operator):
        return f"postsuper {record.action}"
    return type(record).__name__.lower()
