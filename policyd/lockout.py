"""Who has failed to log in so often that the next answer is late, or does not come.

It decides without the database, and only the event loop's thread uses it; `policyd.guard` carries
counts between it and `franking.accounts.failures`, which all nodes share.

* After `free_failures`, each failure is answered later than the one before.
* After `address_failures`, nobody's secret is looked at from that address.
* After `account_failures` the same goes for that account, save from addresses that have logged in
  before: strangers must not lock a customer out.  A name that nobody has is treated alike, or
  else this would tell them which names exist.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from franking.accounts.failures import Run
from franking.settings import Protection

FIRST_DELAY = 0.25  # seconds; doubles
MOST_SUBJECTS = 100_000  # who failed the longest ago is forgotten first
ACCOUNT = "account:"


@dataclass
class _Known:
    """A run; `forgiven` of its failures were before the last success from there."""

    failures: int
    first_at: datetime
    forgiven: int = 0


class Lockout:
    def __init__(self, protection: Protection, most: int = MOST_SUBJECTS) -> None:
        self._protection = protection
        self._most = most
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._locked_accounts: set[str] = set()
        self._unwritten: dict[str, Run] = {}
        self.window = timedelta(seconds=protection.window)

    def __bool__(self) -> bool:
        """Whether anybody has failed lately."""
        return bool(self._known)

    def address_locked(self, subject: str, now: datetime) -> bool:
        return self._failures(subject, now) >= self._protection.address_failures

    def name_locked(self, subject: str, now: datetime) -> bool:
        return self._failures(subject, now) >= self._protection.account_failures

    def locked_accounts(self, now: datetime) -> set[int]:
        """Their ids; usually none, and then there is nothing to ask the database."""
        ended = {s for s in self._locked_accounts if not self.name_locked(s, now)}
        self._locked_accounts -= ended
        return {int(subject.removeprefix(ACCOUNT)) for subject in self._locked_accounts}

    def failed(self, subjects: Iterable[str], now: datetime) -> float:
        """Count a failure of each; the seconds by which it delays the answer."""
        return max((self._count(subject, now) for subject in subjects), default=0.0)

    def succeeded(self, address: str, now: datetime) -> None:
        """The next failures from there are free again.  They still count: or else who has one
        account of ours could guess at the others from the same address for ever."""
        if (run := self._run(address, now)) is not None:
            run.forgiven = run.failures

    def learn(self, runs: Mapping[str, Run], now: datetime) -> None:
        """What the database holds, oldest first; ours that it does not hold yet stay counted."""
        for subject, told in runs.items():
            if told.first_at <= now - self.window:
                continue
            run = self._run(subject, now) or _Known(0, told.first_at)
            run.failures = max(run.failures, told.failures)
            run.first_at = min(run.first_at, told.first_at)
            self._remember(subject, run)

    def unwritten(self) -> dict[str, Run]:
        """What was counted here since this was asked last."""
        taken, self._unwritten = self._unwritten, {}
        return taken

    def not_written(self, runs: Mapping[str, Run]) -> None:
        """Keep them for the next time."""
        for subject, run in runs.items():
            self._to_write(subject, run)

    def _count(self, subject: str, now: datetime) -> float:
        run = self._run(subject, now) or _Known(0, now)
        run.failures += 1
        self._remember(subject, run)
        self._to_write(subject, Run(1, now, now))
        over = run.failures - run.forgiven - self._protection.free_failures
        if over <= 0:
            return 0.0
        return min(self._protection.longest_delay, FIRST_DELAY * 2.0 ** min(over - 1, 16))

    def _to_write(self, subject: str, run: Run) -> None:
        waiting = self._unwritten.get(subject)
        if waiting is not None:
            self._unwritten[subject] = Run(
                waiting.failures + run.failures,
                min(waiting.first_at, run.first_at),
                max(waiting.last_at, run.last_at),
            )
        elif len(self._unwritten) < self._most:
            self._unwritten[subject] = run

    def _failures(self, subject: str, now: datetime) -> int:
        run = self._run(subject, now)
        return 0 if run is None else run.failures

    def _run(self, subject: str, now: datetime) -> _Known | None:
        """The subject's run, unless it is over."""
        run = self._known.get(subject)
        if run is not None and run.first_at <= now - self.window:
            del self._known[subject]
            return None
        return run

    def _remember(self, subject: str, run: _Known) -> None:
        self._known[subject] = run
        self._known.move_to_end(subject)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        if subject.startswith(ACCOUNT) and run.failures >= self._protection.account_failures:
            self._locked_accounts.add(subject)
