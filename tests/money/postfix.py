"""Postfix as far as money sees it: queue files with their modes, and a log.

A file is 0600 while cleanup writes it and 0700 from then on (`worker.maillog.queuefile`); what was
ever 0700 is in `committed`: Postfix has taken that message.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

QUEUES = ("incoming", "active", "deferred", "hold")
READY, WRITING = 0o700, 0o600


class Postfix:
    def __init__(self, directory: Path, now: datetime) -> None:
        self.directory = directory
        self.now = now
        self.log: list[bytes] = []
        self.committed: set[str] = set()
        self.held: set[str] = set()  # in the hold queue, as `directory` has it
        self.deleted: set[str] = set()  # by postsuper
        self._open: dict[int, str] = {}  # files that a live cleanup writes, by inode
        self._to_hold: set[str] = set()
        self._left: dict[str, list[str]] = {}  # recipients that have had no end yet
        self._all: dict[str, int] = {}
        self._failed: Counter[str] = Counter()  # recipients that ended through our fault
        for queue in QUEUES:
            (directory / queue).mkdir()

    # --- cleanup ------------------------------------------------------------------------------

    def begin(self, queue_id: str, username: str, recipients: Sequence[str]) -> None:
        self._left[queue_id] = list(recipients)
        self._all[queue_id] = len(recipients)
        self._say(
            "submission/smtpd",
            f"{queue_id}: client=app.test[192.0.2.7], sasl_method=PLAIN, sasl_username={username}",
        )
        path = self.directory / "incoming" / queue_id
        path.touch(WRITING)
        self._open[path.stat().st_ino] = queue_id

    def is_open(self, status: os.stat_result) -> bool:
        return status.st_ino in self._open

    @property
    def writing(self) -> list[str]:
        return sorted(self._open.values())

    def reject(self, queue_id: str, *, silent: bool = False) -> None:
        """The milter said no, or said nothing; `silent`: for a reason that logs no such line."""
        self._close(queue_id)
        (self.directory / "incoming" / queue_id).unlink()
        if not silent:
            self._say(
                "cleanup",
                f"{queue_id}: milter-reject: END-OF-MESSAGE from app.test[192.0.2.7]: 4.7.1 Service"
                " unavailable - try again later; from=<a@shop.test> to=<b@dest.test> proto=ESMTP",
            )

    def commit(self, queue_id: str, *, hold: bool) -> None:
        self._close(queue_id)
        path = self.directory / "incoming" / queue_id
        path.chmod(READY)
        self.committed.add(queue_id)
        if hold:
            path.rename(self.directory / "hold" / queue_id)
            self.held.add(queue_id)

    def will_hold(self, queue_id: str) -> None:
        """When it is committed: the milter said so."""
        self._to_hold.add(queue_id)

    def finish(self, queue_id: str) -> None:
        """A cleanup that took its time."""
        self.commit(queue_id, hold=queue_id in self._to_hold)

    def kill_cleanup(self, queue_id: str) -> None:
        """It leaves a file of mode 0600 behind, and no line."""
        self._close(queue_id)

    def _close(self, queue_id: str) -> None:
        self._open = {inode: name for inode, name in self._open.items() if name != queue_id}

    # --- qmgr and smtp ------------------------------------------------------------------------

    def deliverable(self) -> list[str]:
        found = [
            path.name
            for queue in ("incoming", "active", "deferred")
            for path in (self.directory / queue).iterdir()
            if path.stat().st_mode & READY == READY
        ]
        return sorted(found)

    def run_queue(self, queue_id: str, outcomes: Sequence[str], *, expired: bool) -> None:
        """One attempt for each of its recipients, as `_attempt` has them."""
        self._move(queue_id, "active")
        self._say("qmgr", f"{queue_id}: from=<a@shop.test>, size=300, nrcpt=1 (queue active)")
        attempts = list(zip(self._left[queue_id], outcomes, strict=False))
        for number, (recipient, status) in enumerate(attempts):
            self._attempt(queue_id, recipient, status, len(self.log) + number)
        self._left[queue_id] = [to for to, status in attempts if status == "deferred"]
        self._failed[queue_id] += sum(status == "blocked" for _, status in attempts)
        if not self._left[queue_id]:
            self._remove(queue_id)
        elif expired:
            self._failed[queue_id] += len(self._left[queue_id])
            self._say("qmgr", f"{queue_id}: from=<a@shop.test>, status=expired, returned to sender")
            self._remove(queue_id)
        else:
            self._move(queue_id, "deferred")

    def failed(self, queue_id: str) -> tuple[int, int]:
        """How many recipients ended through the relay's own fault, and of how many."""
        return self._failed[queue_id], self._all[queue_id]

    def _attempt(self, queue_id: str, recipient: str, status: str, delay: int) -> None:
        """`status`: sent, bounced, blocked (bounced, because of our address) or deferred."""
        word, code, said = {
            "sent": ("sent", "2.0.0", "250 2.0.0 Ok"),
            "bounced": ("bounced", "5.1.1", "host mx.dest.test[192.0.2.1] said: 550 5.1.1 no such"
                        " user (in reply to RCPT TO command)"),
            "blocked": ("bounced", "5.7.1", "host mx.dest.test[192.0.2.1] said: 550 5.7.1 Service"
                        " unavailable; client [198.51.100.1] blocked using zen.spamhaus.org"
                        " (in reply to RCPT TO command)"),
            "deferred": ("deferred", "4.2.0", "host mx.dest.test[192.0.2.1] said: 450 4.2.0 later"
                         " (in reply to RCPT TO command)"),
        }[status]  # fmt: skip
        self._say(
            "smtp",
            f"{queue_id}: to=<{recipient}>, relay=mx.dest.test[192.0.2.1]:25, delay={delay},"
            f" delays=0/0/0/{delay}, dsn={code}, status={word} ({said})",
        )

    def _remove(self, queue_id: str) -> None:
        self._path(queue_id).unlink()
        self._say("qmgr", f"{queue_id}: removed")

    # --- postsuper ----------------------------------------------------------------------------

    def release(self, queue_ids: Sequence[str]) -> None:
        for queue_id in queue_ids:
            if queue_id in self.held:
                self.held.discard(queue_id)
                self._path(queue_id).rename(self.directory / "deferred" / queue_id)
                self._say("postsuper", f"{queue_id}: released from hold")

    def delete(self, queue_id: str) -> None:
        self.held.discard(queue_id)
        self.deleted.add(queue_id)
        self._path(queue_id).unlink()
        self._say("postsuper", f"{queue_id}: removed")

    def put_on_hold(self, queue_id: str) -> None:
        self._move(queue_id, "hold")
        self.held.add(queue_id)
        self._say("postsuper", f"{queue_id}: placed on hold")

    def probe(self, token: str) -> None:
        self._say("franking", f"probe {token}")

    # ------------------------------------------------------------------------------------------

    def story(self, queue_id: str) -> list[str]:
        """Where its file is, and what was logged about it: for who reads a failure."""
        places = [queue for queue in QUEUES if (self.directory / queue / queue_id).exists()]
        return places + [line.decode() for line in self.log if queue_id.encode() in line]

    def _path(self, queue_id: str) -> Path:
        return next(
            path for queue in QUEUES if (path := self.directory / queue / queue_id).exists()
        )

    def _move(self, queue_id: str, queue: str) -> None:
        self._path(queue_id).rename(self.directory / queue / queue_id)

    def _say(self, process: str, text: str) -> None:
        stamp = self.now.strftime("%b %e %H:%M:%S")
        self.log.append(f"{stamp} relay postfix/{process}[77]: {text}".encode())
