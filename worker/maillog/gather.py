"""From a batch of lines to what has to be written; pure, the database is not asked yet.

Evidence (DESIGN §6): any line that only a committed queue file can cause captures the money; a
line that says that cleanup kept nothing voids it.  Should one batch hold both, Postfix has taken
the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from itertools import groupby
from operator import itemgetter
from typing import Any

from franking.mail.bounce_classes import classify
from franking.mail.events import Attempt
from franking.mail.queue_actions import Action, Notification
from franking.money.settling import Settled
from worker.maillog.parse import parse, seconds
from worker.maillog.recent import Recent
from worker.maillog.records import (
    POST_COMMIT,
    Active,
    Delivery,
    Expired,
    Notice,
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
        delays = [seconds(part) for part in said.delays.split("/")]
        detail: dict[str, Any] = {"agent": said.agent, "relay": said.relay, "tls": self.tls}
        detail |= {"delays": delays, "queued": round(sum(delays[:2]), 3)}
        if said.queue_id != self.queue_id:
            detail["requeued_as"] = said.queue_id
        return Attempt(
            self.queue_id, recipient, self.kind, said.at,
            smtp_code=said.smtp_code, enhanced_code=said.dsn[:12], reply=said.reply,
            remote_host=said.remote_host, remote_ip=said.remote_ip, delay=said.delay,
            detail={name: value for name, value in detail.items() if value is not None},
        )  # fmt: skip


@dataclass
class Changes:
    evidence: dict[str, tuple[Settled, str]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    expired: dict[str, datetime] = field(default_factory=dict)
    forced: set[str] = field(default_factory=set)  # of these: by an operator
    actions: list[tuple[int, Action]] = field(default_factory=list)  # after so many of `sent`
    removed: dict[str, datetime] = field(default_factory=dict)  # by an operator
    notices: list[Notification] = field(default_factory=list)
    active: dict[str, str] = field(default_factory=dict)  # queue ID: user name of the client
    probes: list[str] = field(default_factory=list)

    def named(self) -> set[str]:
        """The queue IDs of what is not evidence."""
        names = {each.queue_id for each in self.sent} | {each.queue_id for each in self.notices}
        names |= {action.queue_id for _, action in self.actions}
        return names | self.expired.keys() | self.removed.keys()

    def act(self, action: Action) -> None:
        self.actions.append((len(self.sent), action))

    def steps(self) -> Iterator[tuple[list[Sent], list[Action]]]:
        """Deliveries and then what an operator did, as often as these take turns in the log."""
        start = 0
        for end, actions in groupby(self.actions, key=itemgetter(0)):
            yield self.sent[start:end], [action for _, action in actions]
            start = end
        yield self.sent[start:], []

    def renamed(self, names: Mapping[str, str]) -> Changes:
        """With these first queue IDs instead of later ones."""
        return replace(
            self,
            sent=[replace(each, queue_id=names.get(each.queue_id, each.queue_id))
                  for each in self.sent],
            actions=[(order, each._replace(queue_id=names.get(each.queue_id, each.queue_id)))
                     for order, each in self.actions],
            notices=[each._replace(queue_id=names.get(each.queue_id, each.queue_id))
                     for each in self.notices],
            expired={names.get(name, name): at for name, at in self.expired.items()},
            removed={names.get(name, name): at for name, at in self.removed.items()},
            forced={names.get(name, name) for name in self.forced},
        )  # fmt: skip

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
        first = recent.original(record.original)
        changes.capture(first, f"requeued as {record.queue_id}")
        changes.act(Action(first, "requeued", record.at, record.queue_id))
    elif isinstance(record, Probe):
        changes.probes.append(record.token)


def _add_committed(changes: Changes, record: PostCommit, recent: Recent) -> None:
    queue_id = recent.original(record.queue_id)
    changes.capture(queue_id, _what(record))
    if isinstance(record, Delivery):
        if kind := KINDS.get(record.status):
            changes.sent.append(Sent(queue_id, record, kind, recent.tls(record)))
            if kind != "delivered":  # it remembers, so that no transaction has to wait for it
                classify(record.dsn, record.smtp_code, record.reply)
    elif isinstance(record, Expired):
        changes.expired.setdefault(queue_id, record.at)
        if record.status == "force-expired":
            changes.forced.add(queue_id)
    elif isinstance(record, Notice):
        notice = Notification(queue_id, record.kind, record.notice_id, record.at)
        changes.notices.append(notice)
    elif isinstance(record, Operator):
        _add_operator(changes, queue_id, record)
    elif isinstance(record, Active) and record.queue_id in recent.clients:
        changes.active[record.queue_id] = recent.clients.pop(record.queue_id)


def _add_operator(changes: Changes, queue_id: str, record: Operator) -> None:
    """`requeued` leaves the hold queue too: the message goes on under a new queue ID, which pickup
    tells; `expired` is told by the queue manager."""
    if record.action == "removed":
        changes.removed.setdefault(queue_id, record.at)
    elif record.action == "placed on hold":
        changes.act(Action(queue_id, "held", record.at))
    elif record.action in {"released from hold", "requeued"}:
        changes.act(Action(queue_id, "released", record.at))


def _what(record: PostCommit) -> str:
    if isinstance(record, Active):
        return "queue active"
    if isinstance(record, Delivery):
        return f"{record.agent} status={record.status}"
    if isinstance(record, Operator):
        return f"postsuper {record.action}"
    return type(record).__name__.lower()
