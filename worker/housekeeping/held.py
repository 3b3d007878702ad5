"""Releases held mail of this node when its limits have room (rules: `franking.mail.holding`).

A message is counted first and released then, so that a crash in between leaves a row that says
`granted` and a file that is still in the hold queue: released at the next look, not counted again.
After a crash behind `postsuper -H` the file is in another queue: recorded at the next look.  A
file that is nowhere is not in the queue yet, or has left it: the mail log says which (released,
removed), or the reconciler voids it; only when both have been silent for a minute is it recorded
here.

`postsuper -H` moves a file to the deferred queue, which the queue manager reads every
queue_run_delay (5 minutes).  Kicking it with `D` makes it look now, and take only what is due:
unlike `postqueue -f`, that tries nothing before its time.  A message that was held for longer than
maximal_queue_lifetime (5 days) gets one attempt: a deferral ends it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from franking import failpoints, log
from franking.accounts.limits import Exceeded
from franking.db import Database, utcnow
from franking.mail import holding
from franking.mail.models import HeldMessage
from franking.mail.transitions import record_released
from franking.money import reservations
from franking.reasons import AccountSuspended, CapReached, InsufficientBalance
from worker.maillog.queuefile import READY, Queue, State

LIMIT = 100  # of each credential in one round
ROUNDS = 20  # of one look: the node's other duties wait meanwhile
PATIENCE = timedelta(minutes=1)  # the log is usually read within a second

Release = Callable[[Sequence[str]], bool]
Delete = Callable[[Sequence[str]], bool]


def postsuper(config_directory: Path) -> Release:
    """Takes queue IDs out of Postfix's hold queue; False when it could not be asked."""
    place = ["-c", str(config_directory)]

    def release(queue_ids: Sequence[str]) -> bool:
        return _run(["postsuper", *place, "-H", "-"], queue_ids) and _run(
            ["postkick", *place, "public", "qmgr", "D"]
        )

    return release


def deletion(config_directory: Path) -> Delete:
    """Deletes queue IDs from Postfix's hold queue, and from no other."""

    def delete(queue_ids: Sequence[str]) -> bool:
        return _run(["postsuper", "-c", str(config_directory), "-d", "-", "hold"], queue_ids)

    return delete


def _run(command: Sequence[str], queue_ids: Sequence[str] = ()) -> bool:
    try:
        subprocess.run(
            command, input="".join(f"{each}\n" for each in queue_ids), text=True, check=True,
            timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        log.command_failed(list(command), error)
        return False
    return True


class Place(Enum):
    """Where a message's queue file is."""

    HOLD = "hold"
    ELSEWHERE = "another queue"
    NOWHERE = "none, or not committed yet"


class Held:
    def __init__(
        self,
        database: Database,
        node: str,
        queue_directory: Path,
        release: Release,
        clock: Callable[[], datetime] = utcnow,
        *,
        delete: Delete | None = None,
    ) -> None:
        """Without `delete`, what waits for money waits for ever."""
        self._database = database
        self._node = node
        self._directory = queue_directory
        self._queue = Queue(queue_directory, is_open=lambda _status: True)
        self._release = release
        self._delete = delete
        self._clock = clock
        self._missing: dict[str, datetime] = {}  # queue ID: since when

    def look(self) -> None:
        """Release what there is room for."""
        for _ in range(ROUNDS):
            if not self._round():
                break

    def _round(self) -> bool:
        """Whether something was released, so that there may be more."""
        with self._database.session() as session:
            rows = holding.of_node(session, self._node, LIMIT)
        places = self._places(rows)
        left = [row.queue_id for row in rows if self._has_left(row, places)]
        overdue: dict[str, str] = {}
        here = [row for row in rows if places[row.queue_id] is Place.HOLD]
        going = self._granted(here, overdue)
        self._drop(overdue)
        gone: list[str] = []
        if (going or left) and self._release(going):
            gone = [queue_id for queue_id in going if self._place(queue_id) is not Place.HOLD]
        if left or gone:
            with self._database.transaction() as session:
                record_released(session, self._node, [*left, *gone], self._clock())
        return bool(gone)

    def _drop(self, overdue: Mapping[str, str]) -> None:
        """Delete what has waited too long; after a crash in between, the mail log says the same."""
        if overdue and self._delete is not None and self._delete(sorted(overdue)):
            with self._database.transaction() as session:
                holding.drop_unpaid(session, self._node, overdue, self._clock())

    def _granted(self, rows: Iterable[HeldMessage], overdue: dict[str, str]) -> list[str]:
        """Those that may go; a credential's line stops at the first that there is no room for.

        `overdue` gets those that have waited too long, each with why.
        """
        going = []
        blocked: set[int] = set()
        for row in rows:
            if row.granted_at is None:
                if row.credential_id in blocked:
                    continue
                try:
                    self._grant(row)
                except holding.GivenUp as reason:
                    overdue[row.queue_id] = str(reason)
                    continue
                except (Exceeded, InsufficientBalance, CapReached, AccountSuspended) as reason:
                    if getattr(reason, "recipients", None) is None:
                        blocked.add(row.credential_id)
                    continue
            going.append(row.queue_id)
        return going

    def _grant(self, row: HeldMessage) -> None:
        """Asked without a lock first: most looks find that there is no room yet."""
        now = self._clock()
        with self._database.session() as session:
            holding.check(session, row, now)
        with self._database.transaction() as session:
            holding.grant(session, row, now)
        failpoints.passing("held.granted")

    def _places(self, rows: Iterable[HeldMessage]) -> dict[str, Place]:
        places = {row.queue_id: self._place(row.queue_id) for row in rows}
        now = self._clock()
        self._missing = {
            queue_id: self._missing.get(queue_id, now)
            for queue_id, place in places.items()
            if place is Place.NOWHERE
        }
        return places

    def _place(self, queue_id: str) -> Place:
        """The hold queue first: it is not hashed by default, and a search of all is not cheap."""
        try:
            if (self._directory / "hold" / queue_id).lstat().st_mode & READY == READY:
                return Place.HOLD
        except FileNotFoundError:
            pass
        state, path = self._queue.look(queue_id)
        if state is not State.COMMITTED or path is None:
            return Place.NOWHERE
        queue = path.relative_to(self._directory).parts[0]
        return Place.HOLD if queue == "hold" else Place.ELSEWHERE

    def _has_left(self, row: HeldMessage, places: Mapping[str, Place]) -> bool:
        place = places[row.queue_id]
        if place is not Place.NOWHERE:
            return place is Place.ELSEWHERE
        if self._clock() - self._missing[row.queue_id] < PATIENCE:
            return False
        with self._database.session() as session:
            money = reservations.of_message(session, self._node, row.queue_id)
        return money is None or money.state not in {"reserved", "waiting"}
