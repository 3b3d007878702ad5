"""Deposits, mail, settlements, prices and the calendar in any order, killed anywhere: the books
are right after every step, and in the end every committed queue file was paid for exactly once."""

from __future__ import annotations

import sys

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.money.node import ALL, Node

ENDS = {"captured", "voided"}
PARTS = 8  # for as many processes as there are


class Office(Node):
    def teardown(self) -> None:
        if sys.exc_info()[0] is None:
            self.quiesce()
            self.books_are_right()
        super().teardown()

    def quiesce(self) -> None:
        """Everybody may send, everything is delivered and read, whoever must look has looked."""
        self.give_up_offers()
        for name in self.still_written():
            self.postfix.finish(name)
        for plan_id in (1, 2):
            self.hold_beyond_two_a_minute(plan_id, False)
        for account_id in self.accounts:
            self.suspend(account_id, False)
            self.cap(account_id, None)
            self.deposit(account_id, 10_000)
        for credential_id in (1, 2, 3):
            self.cap_credential(credential_id, None)
        for _ in range(3):
            self._settle_down()
        self._assert_settled()

    def _settle_down(self) -> None:
        self.look_after_held(None, 61)
        self.postfix.release(sorted(self.postfix.held & self.by_hand_on_hold()))
        for name in self.postfix.deliverable():
            self.postfix.run_queue(name, ["sent"] * 5, expired=False)
        self.read_log(ALL, None)
        self.reconcile(None, 601, True)
        for name in self.open("unknown"):
            self._settle(name)
        self.observe()

    def by_hand_on_hold(self) -> set[str]:
        return self.put_on_hold

    def _assert_settled(self) -> None:
        for account in self.accounts.values():
            states = {name: sent.state for name, sent in account.sent.items()}
            unsettled = [name for name, state in states.items() if state not in ENDS]
            assert not unsettled, self.postfix.story(unsettled[0])
            captured = {name for name, state in states.items() if state == "captured"}
            taken = set(states) & self.postfix.committed
            assert captured <= taken
            assert taken - captured <= self.postfix.deleted
            assert account.held == 0


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_books(part: int) -> None:
    """Each part draws examples of its own."""
    examples = max(settings().max_examples // PARTS, 1)
    chosen = settings(max_examples=examples, stateful_step_count=25)
    run_state_machine_as_test(Office, settings=chosen)
