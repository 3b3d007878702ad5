"""What passes the milter for free: mail of strangers to mailboxes of ours, and to nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from franking.mail.mailboxes import Mailboxes
from franking.mail.returnpath import ReturnPaths
from franking.mail.unsubscribing import Tokens
from milterd.message import Message
from milterd.verdict import Client
from tests.factories import MASTER_KEY
from tests.milterd.offered import CLIENT, FROM, RELAY, Headers, message

PATHS = ReturnPaths(MASTER_KEY, "b.example")
MAILBOXES = Mailboxes(
    paths=PATHS,
    complaints="complaints",
    unsubscribe=Tokens(MASTER_KEY),
    reports="reports.example",
)
OURS = replace(RELAY, mailboxes=MAILBOXES)
MADE = datetime(2026, 5, 11, 18, tzinfo=UTC)  # of the queue ID, an hour later
RETURNED = PATHS.address("4gDmcX3y9Gz1sKp").encode()
STRANGER = Client(ip="192.0.2.9", helo="mx.receiver.example")


def offered(
    *recipients: bytes,
    client: Client = STRANGER,
    sender: bytes = b"<noreply@receiver.example>",
    headers: Headers | None = None,
) -> Message:
    return message(
        [FROM] if headers is None else headers,
        client=client, relay=OURS, sender=sender, recipients=recipients,
    )  # fmt: skip


def test_only_strangers_mail_to_nobody_else_is_inbound() -> None:
    both = offered(b"<f00@reports.example>", b"<F01@REPORTS.example>")
    assert set(both.inbound(MADE)) == {"f00@reports.example", "F01@REPORTS.example"}
    assert not offered(b"<f00@reports.example>", client=CLIENT).inbound(MADE)
    assert not offered(b"<%b>" % RETURNED, client=CLIENT).inbound(MADE)


def test_mail_is_delivered_below_our_own_domain() -> None:
    """Left as it is, it would be sent to the customer's MX, which is this host."""
    elsewhere = PATHS.address("4gDmcX3y9Gz1sKp", "Bounce.Customer.example").upper()
    ours = PATHS.address("4gDmcX3y9Gz1sKp")
    made = offered(b"<%b>" % elsewhere.encode(), b"<%b>" % RETURNED, b"<complaints@B.example>")
    assert made.inbound(MADE) == {
        elsewhere: ours,
        ours: ours,
        "complaints@B.example": "complaints@B.example",
    }


@pytest.mark.parametrize(
    "other",
    [
        b"<a@example.net>",
        b"<postmaster>",
        b"<f00@sub.reports.example>",
        b"<f00@xreports.example>",
        b"<@reports.example:a@example.net>",
        b"<f00@reports.example@example.net>",
        b"<reports.example>",
        b"<>",
        b"<postmaster@b.example>",
        b"<complaints@bounce.customer.example>",
        b"<unsubscribe+abc@b.example>",
        b"<bounce+abc-def@b.example>",
        b"<bounce+abc-def@bounce.customer.example>",
        b"<a@example.net@b.example>",
        b"<%b@example.net>" % RETURNED,
        b'<"%b>' % RETURNED.replace(b"@", b'"@'),
        b"<%b>" % RETURNED.replace(b"b.example", b"[192.0.2.1]"),
    ],
)
def test_one_other_recipient_is_enough(other: bytes) -> None:
    assert not offered(b"<f00@reports.example>", other).inbound(MADE)
    assert not offered(other, b"<f00@reports.example>").inbound(MADE)
    assert not offered(other).inbound(MADE)


def test_a_token_that_is_too_old_is_none() -> None:
    assert offered(b"<%b>" % RETURNED).inbound(MADE)
    assert not offered(b"<%b>" % RETURNED).inbound(MADE + timedelta(days=14))


def test_what_would_not_be_read_is_refused_at_once() -> None:
    small = replace(OURS, mailbox_bytes=100)
    made = message(
        [FROM], b"x" * 90, client=STRANGER, relay=small, recipients=(b"<a@reports.example>",)
    )
    assert made.inbound(MADE)
    refused = made.refuse_inbound()
    assert refused is not None
    assert refused.text == "Message size exceeds 100 bytes"


def test_without_recipients_or_mailboxes_nothing_is_inbound() -> None:
    assert not offered().inbound(MADE)
    made = message([FROM], client=STRANGER, recipients=(b"<f00@reports.example>",))
    assert not made.inbound(MADE)


@pytest.mark.parametrize(
    ("headers", "sender", "key"),
    [
        ([FROM], b"<noreply@receiver.example>", None),
        ([], b"<>", None),
        ([(b"delivered-TO", b" x@reports.example")], b"<>", "mail_loop"),
        ([FROM], b'<"x>, status=sent to=<"@example.net>', "sender_invalid"),
        ([(b"X", b"y")] * 51, b"<>", "too_many_headers"),
        ([(b"X", b"y" * 20_000)], b"<>", "too_many_headers"),
    ],
)
def test_what_is_not_taken(headers: Headers, sender: bytes, key: str | None) -> None:
    refused = offered(b"<f00@reports.example>", headers=headers, sender=sender).refuse_inbound()
    assert (refused and refused.key) == key
