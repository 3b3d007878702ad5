"""Failed logins are answered later and later, then not looked at; customers notice nothing.

A stack of its own, with low limits and a short window; every client has its own source address.
The whole attack, 10,000 bad logins under the default limits, is bench/brute_force.py.
"""

from __future__ import annotations

import itertools
import smtplib
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import expect
import pytest
from sqlalchemy import select

from bench import brute_force
from franking.accounts import failures
from franking.accounts.models import AuthFailure
from franking.settings import Protection
from stack.running import RunningStack, Sender

pytestmark = [pytest.mark.alone, pytest.mark.long, pytest.mark.one_engine]

LIMITS = Protection(
    window=12, free_failures=2, longest_delay=0.5, address_failures=5, account_failures=8
)
WRONG = "535 5.7.8 Error: authentication failed: invalid SMTP username or API key"
RIGHT = "235 2.7.0 Authentication successful"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stack(engine: str) -> Iterator[RunningStack]:
    with tempfile.TemporaryDirectory(prefix="franking-") as name:
        Path(name).chmod(0o755)
        settings = {"protection": LIMITS.model_dump()}
        with RunningStack.started(Path(name), engine, settings) as running:
            yield running


@pytest.fixture
def address() -> str:
    return f"127.0.2.{next(_numbers)}"


@pytest.fixture
def sender(stack: RunningStack, address: str) -> Sender:
    return stack.sender(f"customer-{address.rpartition('.')[2]}")


def log_in(stack: RunningStack, username: str, secret: str, address: str) -> str:
    """The reply to one AUTH PLAIN in a session from this address."""
    context = ssl.create_default_context(cafile=stack.instance.ca_file)
    port = stack.ports.submission
    with smtplib.SMTP("localhost", port, timeout=20, source_address=(address, 0)) as client:
        client.starttls(context=context)
        client.ehlo()
        client.user, client.password = username, secret
        try:
            code, said = client.auth("PLAIN", client.auth_plain)
        except smtplib.SMTPAuthenticationError as error:
            code, answer = error.smtp_code, error.smtp_error
            said = answer if isinstance(answer, bytes) else answer.encode()
        return f"{code} {said.decode()}"


def counted(stack: RunningStack, subject: str) -> int:
    with stack.database.session() as session:
        found = select(AuthFailure.failures).where(AuthFailure.subject == subject)
        return session.scalar(found) or 0


def test_later_and_later_then_not_at_all_until_the_window_is_over(
    stack: RunningStack, sender: Sender, address: str
) -> None:
    delays = []
    for _ in range(LIMITS.address_failures):
        begun = time.monotonic()
        assert log_in(stack, sender.username, "wrong", address) == WRONG
        delays.append(time.monotonic() - begun)
    assert all(delay >= least for delay, least in zip(delays, (0, 0, 0.25, 0.5, 0.5), strict=True))
    said = log_in(stack, sender.username, sender.secret, address)
    assert said.startswith("454 4.7.0 Temporary authentication failure")
    throttled = stack.until(
        lambda: [e for e in expect.refusals(stack, sender) if e.smtp_code == 454]
    )[0]
    assert throttled.detail["reply_key"] == "login_throttled"
    assert throttled.detail["client_ip"] == address

    subject = str(failures.address_subject(address))
    stack.until(lambda: counted(stack, subject) == LIMITS.address_failures)
    (old,) = stack.pids("policyd")
    stack.kill(old)
    assert log_in(stack, sender.username, sender.secret, address).startswith("454 ")
    assert stack.pids("policyd") != [old], "its successor knows, too"

    assert log_in(stack, sender.username, sender.secret, "127.0.3.1") == RIGHT
    stack.until(lambda: log_in(stack, sender.username, sender.secret, address) == RIGHT)
    assert log_in(stack, sender.username, "wrong", address) == WRONG


def test_strangers_lock_out_strangers_only(
    stack: RunningStack, sender: Sender, address: str
) -> None:
    assert log_in(stack, sender.username, sender.secret, address) == RIGHT

    def known() -> bool:
        with stack.database.session() as session:
            return failures.known_client(session, sender.account_id, address)

    stack.until(known)
    for username in (sender.username, "frank_nobody2345"):
        for number in range(LIMITS.account_failures):
            stranger = f"127.0.4.{1 + number // 2}"
            assert log_in(stack, username, "wrong", stranger) == WRONG
        said = log_in(stack, username, sender.secret, "127.0.4.100")
        assert said.startswith("454 "), "the same for a name that nobody has"
        if username == sender.username:
            assert log_in(stack, sender.username, sender.secret, address) == RIGHT
            assert log_in(stack, sender.secret, sender.secret, "127.0.4.101").startswith("454 ")


def test_a_customer_gets_in_while_others_guess(stack: RunningStack, sender: Sender) -> None:
    figures = brute_force.attack(
        stack.ports.submission,
        str(stack.instance.ca_file),
        (sender.username, sender.secret),
        attempts=500,
        addresses=40,
    )
    customer, guesses = figures["customer"], figures["guesses"]
    assert guesses.keys() >= {"535", "454"} and "235" not in guesses, figures
    assert customer["failed"] == [] and customer["sessions"] >= 20, figures
    assert customer["auth"]["p95"] < 200, figures
