"""The processes that move money, driven as production drives them, each of which may be killed.

Killed, a process loses what it had in memory: the maillog worker and housekeeping are made anew and
find their place again in the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from franking.mail import acceptance, authority
from franking.mail.acceptance import Acceptance, NotAccepted, Outcome
from franking.mail.authority import Authority
from franking.reasons import AccountSuspended
from tests.money.killing import FragileDatabase, Fuse
from tests.money.postfix import Postfix
from worker.housekeeping.held import Held
from worker.maillog.follow import Position
from worker.maillog.gather import gather
from worker.maillog.queuefile import Queue
from worker.maillog.recent import Recent
from worker.maillog.reconcile import Reconciler
from worker.maillog.settle import load_position, save_position, write

NODE = "n1"
RECONCILE_AFTER = 60.0
INODE = 1


@dataclass
class Machine:
    """What the processes of one node share."""

    database: FragileDatabase
    postfix: Postfix
    fuse: Fuse

    @property
    def now(self) -> datetime:
        return self.postfix.now


@dataclass(frozen=True)
class Offer:
    """A message whose verdict is passed, before the transaction that takes it."""

    queue_id: str
    domain_id: int
    authority: Authority
    recipients: list[str]
    suppressed: int
    now: datetime


class Milterd:
    """`milterd.office`: one look, then one transaction."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def judge(self, username: str, now: datetime) -> Authority:
        with self._machine.database.session() as session:
            found = authority.authority(session, username, now)
        assert found is not None
        return found

    def accept(self, offer: Offer) -> Outcome | NotAccepted | AccountSuspended:
        message = Acceptance(
            node=NODE,
            queue_id=offer.queue_id,
            authority=offer.authority,
            domain_id=offer.domain_id,
            from_address="a@shop.test",
            envelope_sender="a@shop.test",
            recipients=offer.recipients,
            suppressed=dict.fromkeys(offer.recipients[: offer.suppressed], "manual"),
            subject="s",
            message_id="m@shop.test",
            size=300,
            now=offer.now,
        )
        try:
            with self._machine.database.transaction() as session:
                return acceptance.accept(session, message)
        except (NotAccepted, AccountSuspended) as refused:
            return refused


class Maillog:
    """`worker.maillog.service`, whose file is the list of lines that Postfix has logged."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._recent = Recent()
        self._at: int | None = None
        self._reconciler = Reconciler(
            machine.database, NODE, Queue(machine.postfix.directory, machine.postfix.is_open),
            RECONCILE_AFTER, self._probe,
        )  # fmt: skip

    def read(self, count: int) -> None:
        """The next lines, as many as that; raises Killed."""
        at = self._open() if self._at is None else self._at
        batch = self._machine.postfix.log[at : at + count]
        if not batch:
            return
        now = self._machine.now
        changes = gather(batch, self._recent, now, UTC)
        with self._machine.database.transaction() as session:
            unpaid = write(session, NODE, changes, now)
            self._save(session, at + len(batch), gap=False)
        self._at = at + len(batch)
        assert not unpaid, "mail that nobody paid"
        for token in changes.probes:
            self._reconciler.confirm(token, now)

    def reconcile(self) -> None:
        if self._at is None:
            self._at = self._open()
        self._reconciler.look(self._machine.now)

    def note_gap(self) -> bool:
        """Lines were lost: read everything again, and believe no absence from before now."""
        with self._machine.database.transaction() as session:
            self._save(session, 0, gap=True)
        self._at = 0
        return True

    def _open(self) -> int:
        with self._machine.database.session() as session:
            stored = load_position(session, NODE)
            at = 0 if stored is None else stored.offset
        gather(self._machine.postfix.log[:at], self._recent, self._machine.now, UTC)
        return at

    def _save(self, session: Session, offset: int, *, gap: bool) -> None:
        position = Position(INODE, offset, "")
        save_position(session, NODE, position, "boot", self._machine.now, gap=gap)

    def _probe(self, token: str) -> bool:
        self._machine.fuse.step()
        self._machine.postfix.probe(token)
        self._machine.fuse.step()
        return True


def housekeeping(machine: Machine) -> Held:
    """`worker.housekeeping.held`; made anew after a kill."""

    def release(queue_ids: Sequence[str]) -> bool:
        machine.fuse.step()
        for queue_id in queue_ids:  # postsuper can be interrupted too
            machine.postfix.release([queue_id])
            machine.fuse.step()
        return True

    def delete(queue_ids: Sequence[str]) -> bool:
        machine.fuse.step()
        for queue_id in queue_ids:
            machine.postfix.delete(queue_id)
            machine.fuse.step()
        return True

    return Held(
        machine.database, NODE, machine.postfix.directory, release, lambda: machine.now,
        delete=delete,
    )  # fmt: skip
