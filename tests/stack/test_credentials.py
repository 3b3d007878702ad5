"""Every way to be refused at AUTH, in Postfix's words; and a rotation that nobody notices.

What a clear-text listener lets in is in tests/dialogs/auth-networks.txt and test_listeners.py.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import Any

import expect
import pytest
from sessions import connect, offer, refused_login
from sqlalchemy.orm import Session

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.accounts.credentials import Options
from franking.accounts.models import Account
from franking.db import utcnow
from franking.mail import replies
from stack.running import RunningStack, Sender

DAY = timedelta(days=1)
SAID = "535 5.7.8 Error: authentication failed: "

Change = Callable[[Session, Account, str], Any]


def changed(stack: RunningStack, sender: Sender, change: Change) -> Any:
    with stack.database.transaction() as session:
        return change(session, accounts.get(session, sender.account), sender.username)


def expired(session: Session, account: Account, username: str) -> None:
    now = utcnow()
    credentials.change(session, account, username, Options(expires_at=now), now - DAY)


def elsewhere(session: Session, account: Account, username: str) -> None:
    credentials.change(session, account, username, Options(source_networks=("192.0.2.0/24",)))


def suspended(_: Session, account: Account, __: str) -> None:
    account.status = "suspended"


def rotated(session: Session, account: Account, username: str) -> None:
    credentials.rotate(session, account, username, overlap=timedelta(), longest=DAY)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (credentials.revoke, replies.AUTH_REVOKED),
        (suspended, replies.AUTH_SUSPENDED),
        (expired, replies.AUTH_EXPIRED),
        (elsewhere, replies.AUTH_ADDRESS),
        (rotated, replies.AUTH_ROTATED),
    ],
    ids=["revoked", "suspended", "expired", "elsewhere", "rotated"],
)
def test_the_reason_is_for_who_holds_the_secret(
    stack: RunningStack, request: pytest.FixtureRequest, change: Change, reason: str
) -> None:
    sender = stack.sender(f"auth-{request.node.callspec.id}")
    changed(stack, sender, change)
    assert refused_login(stack, sender.username, sender.secret) == SAID + reason
    assert refused_login(stack, sender.secret, sender.secret) == SAID + reason
    assert refused_login(stack, sender.username, "wrong") == SAID + replies.AUTH_FAILED
    event = expect.refusal(stack, sender)
    assert (event.smtp_code, event.detail["stage"]) == (535, "AUTH")
    assert event.detail["secret"] == f"…{sender.secret[-4:]}"


def test_an_email_address_is_no_user_name(stack: RunningStack) -> None:
    sender = stack.sender("auth-email")
    for name in (sender.address, "nobody@example.net"):
        for secret in (sender.secret, "wrong"):
            assert refused_login(stack, name, secret) == SAID + replies.AUTH_EMAIL


def test_listed_addresses_get_in(stack: RunningStack) -> None:
    sender = stack.sender("auth-listed")

    def here(session: Session, account: Account, username: str) -> None:
        networks = ("127.0.0.0/8", "::1")
        credentials.change(session, account, username, Options(source_networks=networks))

    changed(stack, sender, here)
    with connect(stack) as client:
        assert client.login(sender.username, sender.secret)[0] == 235


def greeted(stack: RunningStack, sender: Sender) -> set[str | None]:
    """What its clients have called themselves so far."""
    with stack.database.session() as session:
        account = accounts.get(session, sender.account)
        credential = credentials.get(session, account, sender.username)
        return {use.client_helo for use in credentials.uses(session, credential)}


def sent_as(
    stack: RunningStack, sender: Sender, secret: str, helo: str, port: str
) -> AbstractContextManager[smtplib.SMTP]:
    """Send a message; the session stays open."""
    client = connect(stack, port)
    client.ehlo(helo)
    client.login(sender.username, secret)
    assert offer(client, sender).startswith("250 ")
    return client


def test_a_rotation(stack: RunningStack) -> None:
    """Two applications on one host are given the new secret one after the other."""
    sender = stack.sender("rotation")
    new = changed(stack, sender, partial(credentials.rotate, overlap=7 * DAY, longest=7 * DAY))
    old_client = sent_as(stack, sender, sender.secret, "shop.example", "submission")
    new_client = sent_as(stack, sender, new.secret, "news.example", "submissions")
    with old_client, new_client:
        both = {"shop.example", "news.example"}
        stack.until(lambda: greeted(stack, sender) == both)
    shown = stack.cli("credential", "show", sender.username, "--account", sender.account)
    facts = ("secret_state", "client_helo", "listener", "client_ip")
    assert {
        client["secret_ends_with"]: [client[f] for f in facts] for client in shown["clients"]
    } == {
        sender.secret[-4:]: ["previous", "shop.example", "submission", "127.0.0.1"],
        new.secret[-4:]: ["current", "news.example", "submissions", "127.0.0.1"],
    }
    assert shown["last_used_helo"] == "news.example"
    changed(stack, sender, credentials.end_overlap)
    assert refused_login(stack, sender.username, sender.secret) == SAID + replies.AUTH_ROTATED
    with connect(stack) as client:
        assert client.login(sender.username, new.secret)[0] == 235
