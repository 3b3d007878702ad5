"""What the state machine has found, one step after the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from franking.money.terms import Terms
from tests.money.choices import End, Mail, Opening
from tests.money.node import ALL
from tests.money.test_machine import Office

PRICE = 5
MAIL = Mail(1, 1, 0, 0)


@pytest.fixture
def poor() -> Iterator[Office]:
    """Without money, on a plan that lets mail wait for it."""
    office = Office()
    opening = Opening(Terms(on_empty="hold"), ((0, PRICE),), 0, None, None)
    office.begin(first=opening, second=opening)
    yield office
    office.teardown()  # everything is settled, and right


def sent(office: Office, file: str = "commit") -> str:
    """An unpaid message, accepted and held."""
    office.send(mails=[MAIL], end=End(file=file))
    (name,) = office.open("waiting")
    return name


def test_unpaid_mail_that_left_while_nobody_read_the_log_is_charged(poor: Office) -> None:
    name = sent(poor)
    poor.forced.add(name)
    poor.postfix.release([name])
    poor.postfix.run_queue(name, ["sent"], expired=False)
    for _ in range(3):
        poor.look_after_held(killed_after=None, later=61)
    assert poor.open("waiting") == [name], "its file is gone, and that says nothing"
    poor.read_log(lines=ALL, killed_after=None)
    assert poor.message(name).state == "captured"
    assert poor.accounts[1].available == -PRICE


def test_unpaid_mail_whose_lines_were_lost_is_charged(poor: Office) -> None:
    name = sent(poor)
    poor.forced.add(name)
    poor.postfix.release([name])
    poor.reboot(lost=ALL, killed_after=None)
    poor.reconcile(killed_after=None, later=61, read=True)
    assert poor.message(name).state == "captured"


def test_unpaid_mail_without_any_evidence_is_for_an_operator(poor: Office) -> None:
    name = sent(poor)
    poor.forced.add(name)
    poor.postfix.release([name])
    poor.postfix.run_queue(name, ["sent"], expired=False)
    poor.reboot(lost=ALL, killed_after=None)
    poor.reconcile(killed_after=None, later=61, read=True)
    assert poor.message(name).state == "unknown"


def test_unpaid_mail_of_a_slow_cleanup_waits(poor: Office) -> None:
    name = sent(poor, "later")
    for _ in range(3):
        poor.look_after_held(killed_after=None, later=61)
        poor.reconcile(killed_after=None, later=61, read=True)
    assert poor.open("waiting") == [name]
    poor.postfix.finish(name)


def test_unpaid_mail_of_a_killed_cleanup_is_given_up(poor: Office) -> None:
    name = sent(poor, "killed")
    poor.reconcile(killed_after=None, later=61, read=True)
    assert poor.message(name).state == "voided"


def test_a_credential_gets_back_only_what_was_counted_for_it(poor: Office) -> None:
    poor.deposit(1, 10 * PRICE)
    poor.send(mails=[MAIL], end=End(file="killed"))  # counted for no cap
    poor.cap_credential(1, PRICE)
    poor.send(mails=[MAIL], end=End())
    poor.reconcile(killed_after=None, later=61, read=True)
    poor.send(mails=[MAIL], end=End())
    assert len(poor.accounts[1].sent) == 2, "the cap is still used up"


@pytest.mark.parametrize("days", [0, 1])  # until the last evening of a day, of a month
def test_a_late_message_counts_for_the_day_that_has_begun(poor: Office, days: int) -> None:
    """The day's cap and the month's volume would begin anew with each change back and forth."""
    poor.postfix.now += timedelta(days)
    poor.deposit(1, 10 * PRICE)
    poor.cap(1, 2 * PRICE)
    late = poor.judge(MAIL)
    poor.postfix.now += timedelta(minutes=3)
    poor.send(mails=[MAIL], end=End())
    poor.end(late, End())
    poor.send(mails=[MAIL], end=End())
    today = poor.now.date()
    assert (poor.accounts[1].spent(today), poor.accounts[1].volume(today)) == (2 * PRICE, 2)


def test_a_log_that_is_read_again_refunds_nothing_again(poor: Office) -> None:
    terms = Terms(billing_unit="recipient")
    poor.agree(1, terms)
    poor.deposit(1, 10 * PRICE)
    poor.send(mails=[Mail(1, 3, 0, 0)], end=End())
    (name,) = poor.open()
    poor.postfix.run_queue(name, ["sent", "blocked", "sent"], expired=False)
    for _ in range(2):
        poor.read_log(lines=ALL, killed_after=None)
        assert poor.message(name).refunded == PRICE
        poor.reboot(lost=0, killed_after=None)
