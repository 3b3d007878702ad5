"""What the last look has found, kept for `franking doctor` and the panel, and who is told of it.

Each node keeps its own findings, and its view of the others' listeners (`reachable`), which `load`
puts where it belongs: with the node that was looked at.  What receivers have said of its address
when it sent mail (`franking.nodes.blocked`) is added at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from franking.deliverability import certificates
from franking.deliverability.findings import Finding, Status, fail, warn
from franking.deliverability.listeners import REACHABLE, Peer
from franking.deliverability.models import NodeCheck
from franking.listeners import SERVICES, ListenerName
from franking.nodes import blocked
from franking.tables import utcnow

FRESH = timedelta(hours=2)  # the worker looks every hour
FORGOTTEN = timedelta(days=1)  # a node that has told nothing for so long is not asked for any more
DELETED = timedelta(days=30)
BADNESS = {"ok": 0, "warn": 1, "fail": 2}
REFUSED = "refused"
ORDER = (
    "addresses", "resolver", "helo", "ptr", "dnsbl", REFUSED, "mx", "spf", "dkim zone",
    certificates.NAME, REACHABLE, "outside view", "egress",
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Of one node; `checked_at` is the last look of that node itself."""

    node: str
    checked_at: datetime
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Change:
    """`before` is None for what was not looked at the last time."""

    finding: Finding
    before: str | None

    @property
    def worse(self) -> bool:
        return BADNESS[self.finding.status] > BADNESS[self.before or "ok"]


def store(session: Session, node: str, findings: Sequence[Finding], now: datetime) -> list[Change]:
    """Replace all that this node has found; returns what is better or worse than before.

    Where nobody has answered, what was known goes on being known for a day: a list that times out
    has not delisted anybody.
    """
    query = select(NodeCheck).where(NodeCheck.node == node)
    before = {(r.name, r.subject): (_finding(r), r.checked_at) for r in session.scalars(query)}
    outdated = (NodeCheck.node == node) | (NodeCheck.checked_at < now - DELETED)
    session.execute(delete(NodeCheck).where(outdated).execution_options(synchronize_session=False))
    changes, rows = [], []
    for key, finding in {(f.name, f.subject): f for f in findings}.items():
        old, at = before.get(key, (None, now))
        if old is not None and not finding.certain and at > now - FORGOTTEN:
            rows.append(_row(node, old, at))
            continue
        rows.append(_row(node, finding, now))
        was = old.status if old else None
        if finding.certain and finding.status != (was or "ok"):
            changes.append(Change(finding, was))
    if rows:
        session.execute(insert(NodeCheck), rows)
    return changes


def _row(node: str, finding: Finding, at: datetime) -> dict[str, object]:
    return {"node": node, "checked_at": at, **finding.data()}


def _finding(row: NodeCheck) -> Finding:
    return Finding(row.name, row.subject, cast(Status, row.status), row.detail, row.fix)


def load(session: Session, now: datetime | None = None) -> list[Report]:
    """What is known of every node, by its name; the same findings that `franking doctor` prints."""
    rows = session.scalars(select(NodeCheck).order_by(NodeCheck.node)).all()
    own: dict[str, list[Finding]] = defaultdict(list)
    checked_at: dict[str, datetime] = {}
    for row in rows:
        if row.name != REACHABLE:
            own[row.node].append(_finding(row))
            checked_at[row.node] = max(row.checked_at, checked_at.get(row.node, row.checked_at))
    seen, refused = _seen_by_others(rows), _refused(session, now or utcnow())
    return [
        Report(
            node,
            checked_at[node],
            in_order([*findings, *refused[node], *outside_view(findings, seen[node])]),
        )
        for node, findings in own.items()
    ]


def _refused(session: Session, now: datetime) -> dict[str, list[Finding]]:
    fix = "find out why, and ask the receiver to lift it: the mail log has its whole reply"
    found: dict[str, list[Finding]] = defaultdict(list)
    for row in blocked.present(session, now):
        times = "once" if row.refusals == 1 else f"{row.refusals:,} times"
        since = f"{row.first_at:%Y-%m-%d %H:%M}Z"
        detail = f"has refused mail because of our address, {times} since {since}: {row.reply}"
        found[row.node].append(fail(REFUSED, row.receiver, detail, fix))
    return found


def of_node(session: Session, node: str) -> Report | None:
    return next((report for report in load(session) if report.node == node), None)


def asked_now(node: str, own: Sequence[Finding], now: datetime, known: Report | None) -> Report:
    """What was found just now, with what the others have seen before."""
    before = known.findings if known else ()
    seen = [finding for finding in before if finding.name == REACHABLE]
    refused = [finding for finding in before if finding.name == REFUSED]
    return Report(node, now, in_order([*own, *refused, *outside_view(own, seen)]))


def _seen_by_others(rows: Sequence[NodeCheck]) -> dict[str, list[Finding]]:
    """`reachable` by the node that was looked at, its subject `address:port from <node>`."""
    newest = max((row.checked_at for row in rows), default=None)
    seen: dict[str, list[Finding]] = defaultdict(list)
    for row in rows:
        if row.name == REACHABLE and newest and row.checked_at > newest - FORGOTTEN:
            node, _, place = row.subject.partition(" ")
            seen[node].append(replace(_finding(row), subject=f"{place} from {row.node}"))
    return seen


def outside_view(own: Sequence[Finding], seen: Sequence[Finding]) -> Sequence[Finding]:
    """What the others have seen, or that nobody has looked; nothing for a node that has told no
    address to be looked at."""
    if seen or not any(finding.name == "ptr" for finding in own):
        return seen
    fix = "add a second node, or run elsewhere: franking deliverability probe HOST"
    return [warn("outside view", "", "no outside view: nobody has tried the ports from there", fix)]


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (_place(f.name), f.subject)))


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def peers(session: Session, node: str, now: datetime) -> list[Peer]:
    """The other nodes that have lately told which addresses and listeners they have."""
    query = select(NodeCheck).where(NodeCheck.node != node, NodeCheck.checked_at > now - FORGOTTEN)
    told: dict[str, list[NodeCheck]] = defaultdict(list)
    for row in session.scalars(query.order_by(NodeCheck.node, NodeCheck.subject)):
        told[row.node].append(row)
    return [_peer(name, rows) for name, rows in told.items()]


def _peer(name: str, rows: Sequence[NodeCheck]) -> Peer:
    addresses = tuple(row.subject for row in rows if row.name == "ptr")
    return Peer(name, addresses, tuple(_ports(rows)))


def _ports(rows: Sequence[NodeCheck]) -> Iterator[tuple[ListenerName, int]]:
    for row in rows:
        listener, _, port = row.subject.partition(":")
        if row.name == certificates.NAME and listener in SERVICES and port.isdigit():
            yield listener, int(port)
