"""What a plan's or a credential's rules change in the verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from franking.accounts.rules import Rules
from franking.mail.authority import Authority, Funds
from franking.mail.returnpath import ReturnPaths
from milterd.verdict import Changes, Refusal
from tests.factories import MASTER_KEY
from tests.milterd.offered import (
    AUTHORITY,
    DOMAIN,
    FROM,
    NOW,
    RELAY,
    Headers,
    lookups,
    message,
    refused,
)

PATHS = ReturnPaths(MASTER_KEY, "b.example.net")
BOUNCING = replace(RELAY, return_paths=PATHS)
QUEUE_ID = "4jWnjJ3y9Gz1sKp"  # a minute before NOW


def under(**rules: object) -> Authority:
    return replace(AUTHORITY, rules=Rules(**rules))  # type: ignore[arg-type]


def judged(made: object, authority: Authority = AUTHORITY, **looks: object) -> Changes | Refusal:
    found = replace(lookups(authority), **looks)  # type: ignore[arg-type]
    return made.judge(found, QUEUE_ID, NOW)  # type: ignore[attr-defined, no-any-return]


def changes(made: object, authority: Authority = AUTHORITY, **looks: object) -> Changes:
    verdict = judged(made, authority, **looks)
    assert isinstance(verdict, Changes), verdict
    return verdict


class TestEnvelopeSender:
    @pytest.mark.parametrize(
        "sender",
        [b"<bounce@example.com>", b"<b@EXAMPLE.com>", b"<me@other.example>"],
        ids=["own", "case", "foreign"],
    )
    def test_becomes_our_own_address(self, sender: bytes) -> None:
        """What comes back comes to us."""
        verdict = changes(message([FROM], sender=sender, relay=BOUNCING))
        assert verdict.sender is not None
        assert PATHS.check(verdict.sender, NOW).queue_id == QUEUE_ID
        assert verdict.acceptance.return_path == verdict.sender
        assert verdict.acceptance.envelope_sender == sender.decode().strip("<>")

    def test_stays_when_it_is_null(self) -> None:
        verdict = changes(message([FROM], sender=b"<>", relay=BOUNCING))
        assert (verdict.sender, verdict.acceptance.return_path) == (None, None)

    def test_is_on_the_customers_own_bounce_domain_where_that_is_published(self) -> None:
        own = replace(DOMAIN, return_path="bounce.example.com")
        made = message([FROM], sender=b"<me@other.example>", relay=BOUNCING)
        verdict = changes(
            made, signing_domain=lambda _account, name: own if name == "example.com" else None
        )
        assert verdict.sender == PATHS.address(QUEUE_ID, "bounce.example.com")

    def test_is_refused_where_the_plan_says_so(self) -> None:
        strict = under(envelope_sender="refuse")
        made = message([FROM], sender=b"<me@other.example>", relay=BOUNCING)
        assert refused(made, strict).startswith(
            "553 5.7.1 Sender domain other.example is not verified"
        )
        for kept in (b"<>", b"<b@EXAMPLE.com>"):
            changes(message([FROM], sender=kept, relay=BOUNCING), strict)

    def test_without_a_bounce_domain_only_a_verified_one_is_taken(self) -> None:
        made = message([FROM], sender=b"<me@other.example>")
        assert refused(made).startswith("553 5.7.1 Sender domain other.example")
        for kept in (b"<>", b"<b@EXAMPLE.com>"):
            verdict = changes(message([FROM], sender=kept))
            assert (verdict.sender, verdict.acceptance.return_path) == (None, None)


class TestReferences:
    def test_a_message_carries_its_own_name_signed(self) -> None:
        verdict = changes(message([FROM], relay=BOUNCING))
        added = dict(verdict.add)
        token = added[b"X-Franking-Ref"].decode().strip()
        assert PATHS.check_reference(token, NOW).queue_id == QUEUE_ID
        assert added[b"Feedback-ID"] == b" default:7:1:frank"
        [signature] = verdict.signatures
        signed = b"".join(signature.split()).partition(b"h=")[2].partition(b";")[0].split(b":")
        assert {b"x-franking-ref", b"feedback-id"} <= set(signed)

    def test_a_clients_own_reference_is_removed_and_its_feedback_id_stays(self) -> None:
        headers = [FROM, (b"x-franking-REF", b" forged"), (b"feedback-ID", b" a:b:c:shop")]
        verdict = changes(message(headers, relay=BOUNCING))
        assert verdict.delete == [("x-franking-REF", 1)]
        assert b"Feedback-ID" not in dict(verdict.add)

    def test_without_a_bounce_domain_nothing_comes_back_for_it(self) -> None:
        verdict = changes(message([FROM]))
        assert b"X-Franking-Ref" not in dict(verdict.add)
        assert verdict.envelope_id is None

    @pytest.mark.parametrize(("parameters", "ours"), [((b"SIZE=9",), True), ((b"envid=x",), False)])
    def test_the_envelope_id_is_ours_unless_the_client_gives_one(
        self, parameters: tuple[bytes, ...], ours: bool
    ) -> None:
        verdict = changes(message([FROM], relay=BOUNCING, parameters=parameters))
        assert (verdict.envelope_id == PATHS.reference(QUEUE_ID)) == ours


class TestContent:
    @pytest.mark.parametrize(
        ("rules", "headers", "words"),
        [
            ({"subject_required": True}, [FROM], "Subject"),
            (
                {"mail_clients_allowed": False},
                [FROM, (b"X-Mailer", b" Apple Mail (2.3)")],
                "mail programs",
            ),
            ({"max_message_bytes": 20}, [FROM], "552 5.3.4 Message size exceeds 20 bytes"),
        ],
    )
    def test_rules_apply_only_where_they_are_set(
        self, rules: dict[str, object], headers: Headers, words: str
    ) -> None:
        changes(message(headers))
        assert words in refused(message(headers), under(**rules))

    def test_the_compatible_code(self) -> None:
        authority = under(subject_required=True, content_refusal=450)
        assert refused(message([FROM]), authority).startswith("450 4.6.0 The given data was inv")

    def test_attachments(self) -> None:
        headers = [
            FROM,
            (b"Content-Type", b' application/octet-stream; name="a.exe"'),
        ]
        changes(message(headers))
        words = refused(message(headers), under(attachments_denied=("exe",)))
        assert words.startswith("550 5.6.0 ") and "a.exe" in words

    def test_a_rule_newer_than_the_scan_is_temporary(self) -> None:
        made = message([FROM])
        made._scanner = None
        assert refused(made, under(attachments_denied=("exe",))).startswith("451 4.3.0")

    def test_custom_headers(self) -> None:
        headers = [FROM, (b"X-Own", b" 1"), (b"x-own", b" 2"), (b"Reply-To", b" <a@b.example>")]
        assert changes(message(headers)).delete == []
        dropped = changes(message(headers), under(custom_headers="drop"))
        assert dropped.delete == [("X-Own", 2), ("X-Own", 1)]
        allowed = under(custom_headers="allowlist", custom_headers_allowed=("X-Own",))
        assert changes(message(headers), allowed).delete == []


def test_a_key_for_certain_domains() -> None:
    authority = replace(AUTHORITY, sending_domains=["shop.example"])
    assert refused(message([FROM]), authority) == (
        "550 5.7.1 From domain example.com is not allowed for this API key"
    )
    changes(message([FROM]), replace(AUTHORITY, sending_domains=["example.com"]))


def test_suppressed_recipients_are_left_out_as_they_were_written() -> None:
    made = message([FROM], recipients=(b"<Gone@dest.example>", b"<here@dest.example>"))
    listed = {"gone@dest.example": "manual 2026-02-03"}
    verdict = changes(made, under(suppressed="drop"), suppressed=lambda *_: listed)
    assert verdict.leave_out == ["Gone@dest.example"]
    assert verdict.acceptance.suppressed == {"gone@dest.example": "manual 2026-02-03"}
    assert verdict.acceptance.recipients == ["gone@dest.example", "here@dest.example"]


def test_a_domain_that_policyd_could_not_know_is_looked_at_here() -> None:
    """It sees the envelope sender; here is the From header's domain."""
    asked: list[str] = []

    def suppressed(
        _account: int, addresses: list[str], domain: str, _stream: str
    ) -> dict[str, str]:
        asked.append(domain)
        return dict.fromkeys(addresses, "manual")

    for sender in (b"<b@example.com>", b"<>", b"<b@other.example>"):
        verdict = changes(message([FROM], sender=sender, relay=BOUNCING), suppressed=suppressed)
        assert bool(verdict.leave_out) == (sender != b"<b@example.com>")
    assert asked == ["example.com", "example.com"]


def test_labels_and_idempotency_key_are_read_and_removed() -> None:
    headers = [
        FROM,
        (b"X-MailerSend-Tags", b" one"),
        (b"X-Metadata-Order", b" 42"),
        (b"X-Idempotency-Key", b" order-42"),
    ]
    verdict = changes(message(headers))
    assert [name for name, _ in verdict.delete] == [
        "X-MailerSend-Tags",
        "X-Metadata-Order",
        "X-Idempotency-Key",
    ]
    stored = verdict.acceptance
    assert (stored.tags, stored.metadata) == (["one"], {"Order": "42"})
    assert stored.idempotency is not None and stored.idempotency[0] == "order-42"
    other = changes(message(headers, b"other\r\n")).acceptance.idempotency
    again = changes(message(headers)).acceptance.idempotency
    assert stored.idempotency == again != other


def test_the_verdict_asks_for_no_money() -> None:
    """Only the transaction that takes it knows whether it is there."""
    changes(message([FROM]), replace(AUTHORITY, funds=Funds(0)))


def test_a_repeat_with_another_boundary_is_the_same_message() -> None:
    digests = []
    for boundary in (b"one", b"two"):
        headers = [
            FROM,
            (b"X-Idempotency-Key", b" order-42"),
            (b"MIME-Version", b" 1.0"),
            (b"Content-Type", b' multipart/mixed; boundary="' + boundary + b'"'),
        ]
        body = b"--" + boundary + b"\r\n\r\nHello\r\n--" + boundary + b"--\r\n"
        digests.append(changes(message(headers, body)).acceptance.idempotency)
    assert digests[0] == digests[1] is not None
