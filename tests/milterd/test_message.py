"""Verdicts, without libmilter and without a database."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from milterd.verdict import Refusal
from tests import verifiers
from tests.milterd.offered import (
    AUTHORITY,
    CLIENT,
    FROM,
    NOW,
    RECORDS,
    Headers,
    accepted,
    lookups,
    message,
    refused,
)


def test_an_accepted_message_is_completed_signed_and_recorded() -> None:
    body = b"hello  world \r\n\r\n"
    headers = [
        FROM,
        (b"Subject", b" =?utf-8?q?K=C3=A4se?=\n\tfor all"),
        (b"x-franking-tags", b" one"),
        (b"X-Franking-Tags", b" two"),
    ]
    changes = accepted(
        message(headers, body, recipients=(b"<R@dest.example>", b"<r@DEST.example>", b"<q@x.y>"))
    )
    assert changes.delete == [("x-franking-tags", 2), ("x-franking-tags", 1)]
    added = dict(changes.add)
    assert added[b"Date"] == b" Sat, 21 Nov 2026 10:00:00 +0000"
    assert re.fullmatch(rb" <[0-9a-f-]{36}@example\.com>", added[b"Message-ID"])
    stored = changes.acceptance
    assert stored.recipients == ["r@dest.example", "q@x.y"]
    assert stored.tags == ["one", "two"]
    assert stored.subject == "Käse\tfor all".replace("\t", " ")
    assert stored.message_id == added[b"Message-ID"].decode().strip()
    assert (stored.from_address, stored.envelope_sender) == (
        "shop@example.com",
        "bounce@example.com",
    )
    assert stored.signatures == [
        {"domain": "example.com", "selector": "s1", "algorithm": "rsa-sha256"}
    ]
    final = [(b"DKIM-Signature", changes.signatures[0]), *headers[:2], *changes.add]
    raw = b"".join(n + b":" + v.replace(b"\r\n", b"\n") + b"\n" for n, v in final)
    raw = raw.replace(b"\n", b"\r\n") + b"\r\n" + body
    assert verifiers.dkimpy(raw, RECORDS) == [True]


def test_present_date_and_message_id_stay() -> None:
    headers = [FROM, (b"date", b" x"), (b"Message-Id", b" <x@y>")]
    changes = accepted(message(headers))
    assert [name for name, _ in changes.add] == [b"Feedback-ID"]
    assert changes.acceptance.message_id == "<x@y>"


def test_the_null_sender_is_one() -> None:
    assert accepted(message([FROM], sender=b"<>")).acceptance.envelope_sender == ""


@pytest.mark.parametrize(
    ("change", "reply"),
    [
        ({"credential_ended": True}, "554 5.7.1 API key revoked"),
        (
            {"account_status": "suspended", "suspended_reason": "spam"},
            "554 5.7.1 Account suspended: spam",
        ),
    ],
)
def test_standing(change: dict[str, object], reply: str) -> None:
    assert refused(message([FROM]), replace(AUTHORITY, **change)) == reply


@pytest.mark.parametrize("username", ["", "frank_unknown"])
def test_nobody_logged_in(username: str) -> None:
    made = message([FROM], client=replace(CLIENT, username=username))
    verdict = made.judge(lookups(), "QID", NOW)
    assert isinstance(verdict, Refusal)
    assert (verdict.reply.key, verdict.authority) == ("authentication_required", None)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([], "550 5.6.0 From header refused: there is no From header"),
        ([FROM, FROM], "there are 2 From headers"),
        ([(b"From", b" g: a@example.com;")], "group syntax"),
        ([(b"From", b' "a"@example.com')], "quoted"),
        (
            [(b"From", b" a@Other.Example")],
            "550 5.7.1 From domain other.example is not verified for this account",
        ),
        ([(b"From", b" a@sub.example.com")], "sub.example.com is not verified"),
        ([FROM, (b"Subject", b" a"), (b"subject", b" b")], "there are 2 Subject headers"),
        ([FROM, (b"From ", b" b@other.example")], "malformed"),
        ([FROM, (b"X-\xff", b" x")], "malformed"),
        ([FROM, (b"X-A", b" \x00")], "control character"),
        ([FROM, (b"X-A", b" a\rb")], "control character"),
        ([FROM, (b"X-Franking-Tags", b" a,b,c,d,e,f")], "X-Franking-Tags has 6 tags"),
        ([FROM, *[(b"X-A", b" b")] * 50], "552 5.3.4 Message header exceeds 50 fields"),
        ([FROM, (b"X-A", b" " + b"x" * 10_000)], "552 5.3.4 Message header exceeds 10000 bytes"),
    ],
)
def test_content(headers: Headers, words: str) -> None:
    assert words in refused(message(headers))


def test_all_errors_are_in_one_reply() -> None:
    headers = [FROM, (b"To", b" a"), (b"To", b" b"), (b"X-Franking-Tags", b" a,b,c,d,e,f")]
    text = refused(message(headers, b"x" * 999 + b"\r\n"))
    assert text.startswith("550 5.6.0 The given data was invalid. ")
    assert len(text.split(",")) == 3
    assert "A line is longer than 998 octets; " in text


def test_what_exceeds_a_limit_is_not_kept() -> None:
    made = message([FROM, *[(b"X-A", b" b")] * 5_000])
    assert len(made._headers) == 50
    assert "552" in refused(message([FROM], b"x\r\n" * 400_000))


@pytest.mark.parametrize(
    ("envelope", "words"),
    [
        ({"sender": b'<"a b"@example.com>'}, "553 5.1.7"),
        ({"sender": b"<\xff@example.com>"}, "553 5.1.7"),
        ({"recipients": (b'<"x>, status=sent"@dest.example>',)}, "501 5.1.3"),
    ],
)
def test_envelope(envelope: dict[str, object], words: str) -> None:
    assert words in refused(message([FROM], **envelope))  # type: ignore[arg-type]


def test_smtputf8_is_what_the_client_said() -> None:
    headers = [(b"From", "Käse <a@example.com>".encode())]
    assert "8-bit" in refused(message(headers))
    accepted(message(headers, parameters=(b"SIZE=1", b"SMTPUTF8")))
