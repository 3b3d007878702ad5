"""The loop of `franking-worker maillog`: follow, settle, reconcile, rotate, until told to stop.

Database trouble keeps the batch and tries again with growing pauses: Postfix goes on, the log
waits, nothing is lost.  After a reboot the log's last lines may never have reached the disk
(postlogd does not fsync) and newer lines may stand where the stored position points, so the file
is read again from its start, and what has no evidence is unknown (a replay changes nothing).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from threading import Event
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from franking import failpoints, log
from franking.db import Database, utcnow
from franking.notify import notify
from franking.reasons import Refused
from franking.settings import Maillog, Settings
from worker.maillog.follow import Batch, Follower, Position
from worker.maillog.gather import Changes, gather
from worker.maillog.parse import PROBE
from worker.maillog.queuefile import Queue
from worker.maillog.recent import Recent
from worker.maillog.reconcile import Reconciler
from worker.maillog.rotate import Rotation
from worker.maillog.settle import load_position, save_position, write

WARM_UP = 1 << 20  # bytes before the position that are read again for `Recent`
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts while the database fails
ALIVE_EVERY = 5.0
ROTATION_EVERY = 30.0

Probe = Callable[[str], bool]
Result = TypeVar("Result")


def postlog_probe(config_directory: Path) -> Probe:
    """Logs through postlogd; when Postfix is stopped, postlog writes the file itself."""
    base = ["postlog", "-c", str(config_directory), "-t", f"postfix/{PROBE}"]

    def probe(token: str) -> bool:
        command = [*base, f"probe {token}"]
        try:
            subprocess.run(command, check=True, timeout=10, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError) as error:
            log.command_failed(command, error)
            return False
        return True

    return probe


class Timer:
    """True once every `seconds`, at first at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Service:
    def __init__(self, settings: Settings, stop: Event, *, probe: Probe | None = None) -> None:
        own: Maillog = settings.maillog
        self._node = settings.node
        self._own = own
        self._rules = settings.suppressions
        self._stop = stop
        self._database = Database(settings.database_url)
        self._boot_id = _boot_id()
        self._recent = Recent()
        self._stored: Position | None = None
        self._reconciler = Reconciler(
            self._database, self._node, Queue(own.queue_directory), own.reconcile_after,
            probe or postlog_probe(own.config_directory),
        )  # fmt: skip
        self._rotation = Rotation(
            own.path, own.config_directory,
            rotate_bytes=own.rotate_bytes, keep_days=own.keep_days,
        )  # fmt: skip
        self._alive = Timer(ALIVE_EVERY)
        self._reconcile = Timer(own.reconcile_every)
        self._rotate = Timer(ROTATION_EVERY)

    def run(self) -> None:
        """Until `stop` is set."""
        follower = self._retrying(self._open)
        if follower is None:
            return
        notify("READY=1")
        while not self._stop.is_set():
            batch = follower.read(self._own.batch)
            if batch.gap or batch.position not in (None, self._stored):
                self._process(batch)
            self._chores()
            if len(batch.lines) < self._own.batch:  # else a busy log is read a few lines at a time
                self._stop.wait(self._own.poll)
        follower.close()
        self._rotation.wait()
        self._database.close()

    def _open(self) -> Follower:
        with self._database.session() as session:
            stored = load_position(session, self._node)
        if stored is None:
            return Follower(self._own.path, None, time.monotonic)
        start = Position(stored.inode, stored.offset, stored.head_sha256)
        if stored.boot_id != self._boot_id:
            self._note_gap("reboot")
            return Follower(self._own.path, start._replace(offset=0), time.monotonic)
        follower = Follower(self._own.path, start, time.monotonic)
        gather(follower.before(WARM_UP), self._recent, utcnow())
        return follower

    def _note_gap(self, why: str) -> None:
        now = utcnow()
        log.log_gap(str(self._own.path), why)
        with self._database.transaction() as session:
            stored = load_position(session, self._node)
            if stored is not None:
                stored.gap_until, stored.boot_id, stored.offset = now, self._boot_id, 0

    def _process(self, batch: Batch) -> None:
        position = batch.position
        if position is None:
            return
        if batch.gap:
            log.log_gap(str(self._own.path), "its file is gone, or was cut")
        changes = gather(batch.lines, self._recent, utcnow())
        unpaid = self._retrying(lambda: self._store(changes, position, gap=batch.gap))
        if unpaid is None:
            return
        failpoints.passing("maillog.committed")
        self._stored = position
        for queue_id, username in unpaid.items():
            log.accepted_unpaid(queue_id, username)
        for token in changes.probes:
            self._confirm(token)

    def _store(self, changes: Changes, position: Position, *, gap: bool) -> dict[str, str]:
        now = utcnow()
        with self._database.transaction() as session:
            save_position(session, self._node, position, self._boot_id, now, gap=gap)
            return write(session, self._node, changes, now, self._rules)

    def _confirm(self, token: str) -> None:
        try:
            self._reconciler.confirm(token, utcnow())
        except SQLAlchemyError as error:  # the next look asks again
            log.database_trouble("maillog reconcile", error)

    def _chores(self) -> None:
        if self._alive.due():
            notify("WATCHDOG=1")
        if self._stored is None or self._stop.is_set():
            return
        if self._reconcile.due():
            try:
                self._reconciler.look(utcnow())
            except SQLAlchemyError as error:
                log.database_trouble("maillog reconcile", error)
        if self._rotate.due():
            self._rotation.look(self._stored.inode)

    def _retrying(self, action: Callable[[], Result]) -> Result | None:
        """What `action` returns, however long it takes; None when told to stop before."""
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                return action()
            except SQLAlchemyError as error:
                log.database_trouble("maillog", error)
            except Refused as error:  # the books do not fit: a bug, but no reason to lose the batch
                log.unexpected("maillog", error)
            if self._alive.due():
                notify("WATCHDOG=1")
            if self._stop.wait(pause):
                break
        return None


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
