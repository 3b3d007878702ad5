"""What happens on a relay node after the 250: queue, log, worker, housekeeping, operator."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from franking.accounts.models import Account
from franking.mail import holding, unsettled
from franking.mail.unsettled import Verdict
from franking.reasons import Invalid, NotFound
from tests.money.books import Sent
from tests.money.choices import kills
from tests.money.processes import NODE
from tests.money.senders import Senders

ALL = 10**6  # lines
endings = st.sampled_from(("sent", "sent", "deferred", "bounced", "blocked", "blocked"))


class Node(Senders):
    def __init__(self) -> None:
        super().__init__()
        self.forced: set[str] = set()  # let go by an operator, whatever the balance says
        self.put_on_hold: set[str] = set()  # by an operator

    def is_forced(self, sent: Sent) -> bool:
        return sent.queue_id in self.forced

    def open(self, *states: str) -> list[str]:
        """Messages whose money is in one of these states; reserved, if none is named."""
        return sorted(
            name
            for account in self.accounts.values()
            for name, sent in account.sent.items()
            if sent.state in (states or ("reserved",))
        )

    # --- Postfix -------------------------------------------------------------------------------

    def still_written(self) -> list[str]:
        """Accepted, and their cleanup has not committed them yet."""
        return [name for name in self.postfix.writing if name not in self.offers]

    @precondition(lambda self: self.still_written())
    @rule(data=st.data(), killed=st.booleans())
    def end_cleanup(self, data: st.DataObject, killed: bool) -> None:
        name = data.draw(st.sampled_from(self.still_written()))
        (self.postfix.kill_cleanup if killed else self.postfix.finish)(name)

    @precondition(lambda self: self.postfix.deliverable())
    @rule(data=st.data(), outcomes=st.lists(endings, min_size=5, max_size=5), expired=st.booleans())
    def deliver(self, data: st.DataObject, outcomes: list[str], expired: bool) -> None:
        """One attempt for each recipient that has had no end yet."""
        name = data.draw(st.sampled_from(self.postfix.deliverable()))
        self.postfix.run_queue(name, outcomes, expired=expired)

    @precondition(lambda self: self.postfix.held)
    @rule(data=st.data(), delete=st.booleans())
    def postsuper(self, data: st.DataObject, delete: bool) -> None:
        """By an operator who does not ask us."""
        name = data.draw(st.sampled_from(sorted(self.postfix.held)))
        self.forced.add(name)
        if delete:
            self.postfix.delete(name)
        else:
            self.postfix.release([name])

    @precondition(lambda self: self.postfix.deliverable())
    @rule(data=st.data(), delete=st.booleans())
    def postsuper_in_queue(self, data: st.DataObject, delete: bool) -> None:
        name = data.draw(st.sampled_from(self.postfix.deliverable()))
        if delete:
            self.postfix.delete(name)
        else:
            self.put_on_hold.add(name)
            self.postfix.put_on_hold(name)

    # --- the worker ----------------------------------------------------------------------------

    @precondition(lambda self: self.postfix.log)
    @rule(lines=st.integers(1, 12) | st.just(ALL), killed_after=kills)
    def read_log(self, lines: int, killed_after: int | None) -> None:
        self.run(lambda: self.maillog.read(lines), killed_after)
        self.observe()
        funded = {sent.queue_id for sent in self.funded if sent.state != "unknown"}
        assert funded <= self.forced

    @precondition(lambda self: self.open())
    @rule(killed_after=kills, later=st.sampled_from((0, 61, 61)), read=st.booleans())
    def reconcile(self, killed_after: int | None, later: int, read: bool) -> None:
        self.postfix.now += timedelta(seconds=later)
        self.run(self.maillog.reconcile, killed_after)
        self.observe()
        if read:
            self.read_log(ALL, None)

    @precondition(lambda self: self.postfix.log)
    @rule(lost=st.just(0) | st.integers(0, 10), killed_after=kills)
    def reboot(self, lost: int, killed_after: int | None) -> None:
        """The log's tail was not on disk yet; no worker goes on before it has noted that."""
        if lost:
            del self.postfix.log[-lost:]
        if not self.run(self.maillog.note_gap, killed_after):
            self.maillog.note_gap()
        self.held = self.new_housekeeping()

    @precondition(lambda self: self.open("waiting") or self.postfix.held)
    @rule(killed_after=kills, later=st.sampled_from((0, 0, 61)))
    def look_after_held(self, killed_after: int | None, later: int) -> None:
        self.postfix.now += timedelta(seconds=later)
        self.run(self.held.look, killed_after)
        self.observe()
        granted = [sent for sent in self.funded if not self.is_forced(sent)]
        for sent in granted:
            account = self.accounts[sent.account_id]
            assert account.id not in self.suspended
            terms = self.terms[self.plan_of[account.id]]
            grace = terms.grace if terms.on_empty == "grace" else 0
            assert account.available >= -terms.overdraft - grace * max(
                each.amount for each in granted
            )
            today = account.day_of(self.now)
            self._below(account.spent(today), self.daily_cap.get(account.id))
            own_day = account.day_of(self.now, sent.credential_id)
            self._below(account.spent_by(sent.credential_id, own_day), self.credential_cap(sent))

    @staticmethod
    def _below(spent: int, cap: int | None) -> None:
        assert cap is None or spent <= cap

    # --- people --------------------------------------------------------------------------------

    @precondition(lambda self: self.postfix.held)
    @rule(data=st.data(), by_operator=st.booleans(), killed_after=kills)
    def release(self, data: st.DataObject, by_operator: bool, killed_after: int | None) -> None:
        """`franking message release`, or the panel's button."""
        name = data.draw(st.sampled_from(sorted(self.postfix.held)))
        owner = self.message(name).account_id

        def act() -> None:
            with self.database.transaction() as session:
                if by_operator:
                    holding.let_go(session, name, self.now)
                else:
                    account = session.get_one(Account, owner)
                    holding.request_release(session, account, name, self.now)

        if by_operator:
            self.forced.add(name)
        with suppress(NotFound):
            self.run(act, killed_after)
        self.observe()

    @precondition(lambda self: self.open("unknown"))
    @rule(data=st.data(), killed_after=kills, twice=st.booleans())
    def settle_unknown(self, data: st.DataObject, killed_after: int | None, twice: bool) -> None:
        """The operator finds out whether it was sent."""
        name = data.draw(st.sampled_from(self.open("unknown")))
        for attempt in (killed_after, None) if twice else (killed_after,):
            try:
                self.run(lambda: self._settle(name), attempt)
            except Invalid:
                assert self.message(name).state != "unknown"
            self.observe()

    def _settle(self, name: str) -> None:
        verdict: Verdict = "captured" if name in self.postfix.committed else "voided"
        with self.database.transaction() as session:
            unsettled.settle(session, NODE, name, verdict, note="seen", now=self.now)
