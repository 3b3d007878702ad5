"""What passes the milter for free: mail of strangers to mailboxes of ours, and to nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milterd.message import Message
from milterd.verdict import Client
from tests.milterd.offered import CLIENT, FROM, RELAY, Headers, message

OURS = replace(RELAY, mailboxes=frozenset({"reports.example"}))
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
    assert offered(b"<f00@reports.example>", b"<F01@REPORTS.example>").is_inbound
    assert not offered(b"<f00@reports.example>", client=CLIENT).is_inbound


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
    ],
)
def test_one_other_recipient_is_enough(other: bytes) -> None:
    assert not offered(b"<f00@reports.example>", other).is_inbound
    assert not offered(other, b"<f00@reports.example>").is_inbound
    assert not offered(other).is_inbound


def test_what_would_not_be_read_is_refused_at_once() -> None:
    small = replace(OURS, mailbox_bytes=100)
    made = message(
        [FROM], b"x" * 90, client=STRANGER, relay=small, recipients=(b"<a@reports.example>",)
    )
    assert made.is_inbound
    refused = made.refuse_inbound()
    assert refused is not None
    assert refused.text == "Message size exceeds 100 bytes"


def test_without_recipients_or_mailboxes_nothing_is_inbound() -> None:
    assert not offered().is_inbound
    assert not message([FROM], client=STRANGER, recipients=(b"<f00@reports.example>",)).is_inbound


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
