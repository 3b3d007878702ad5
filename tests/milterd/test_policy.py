"""Which header fields leave, and in which order Postfix is told to delete the others."""

from __future__ import annotations

import pytest

from milterd import policy
from milterd.removal import without

OURS = "X-Franking-Tags"
# What a plan that drops custom headers keeps all the same.
ALWAYS_KEPT = [
    *("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Reply-To", "References"),
    *("In-Reply-To", "Auto-Submitted", "Precedence", "Feedback-ID"),
]
STANDARD = [
    *("From", "To", "Cc", "Subject", "Date", "Message-ID", "Sender", "MIME-Version"),
    *("Content-Type", "Content-Language", "Content-Transfer-Encoding", "DKIM-Signature"),
    *("Resent-From", "Received", "ARC-Seal", "Disposition-Notification-To", "Importance"),
]
CUSTOM = ["X-Mailer", "User-Agent", "X-Campaign", "Foo", "X-Priority"]
NEVER = [
    "Bcc",
    "BCC",
    "Resent-Bcc",
    "Return-Path",
    "Content-Length",
    "X-Franking-Id",
    "X-Franking-Tags",
    "X-Tag",
    "X-SMTPAPI",
    "X-Metadata-a",
    "X-Idempotency-Key",
]


def left(mode: policy.Mode, names: list[str], allowed: tuple[str, ...] = ()) -> list[str]:
    headers = [(name.encode(), b" v") for name in names]
    return [name.decode() for name, _ in policy.apply(headers, mode, allowed, OURS)[1]]


@pytest.mark.parametrize("mode", ["keep", "allowlist", "drop"])
def test_what_stays_and_goes_under_each_rule(mode: policy.Mode) -> None:
    kept = [*STANDARD, *ALWAYS_KEPT]
    assert left(mode, [*kept, *NEVER]) == kept


def test_keep() -> None:
    assert left("keep", CUSTOM) == CUSTOM


def test_drop() -> None:
    assert left("drop", CUSTOM, ("X-Campaign",)) == []


def test_allowlist() -> None:
    assert left("allowlist", [*CUSTOM, "x-campaign"], ("x-Campaign",)) == [
        "X-Campaign",
        "x-campaign",
    ]


def test_an_allowlist_cannot_let_out_what_never_leaves() -> None:
    assert left("allowlist", ["Bcc", "X-Franking-Tags"], ("Bcc", "X-Franking-Tags")) == []


def test_deletions_count_each_name_and_begin_at_the_end() -> None:
    headers = [
        (b"X-A", b" 1"),
        (b"Subject", b" s"),
        (b"x-a", b" 2"),
        (b"X-B", b" 1"),
        (b"X-A", b" 3"),
    ]
    deletions, remaining = without(headers, lambda name: name.startswith(b"x-"))
    assert deletions == [("X-A", 3), ("X-A", 2), ("X-A", 1), ("X-B", 1)]
    assert remaining == [(b"Subject", b" s")]


def test_deleting_in_that_order_leaves_what_remains() -> None:
    """As Postfix does it: the index counts what is still there."""
    headers = [
        (name.encode(), b"%d" % n) for n, name in enumerate([*CUSTOM, *NEVER, *STANDARD] * 2)
    ]
    deletions, remaining = policy.apply(headers, "drop", (), OURS)
    for name, index in deletions:
        places = [
            n for n, header in enumerate(headers) if header[0].lower() == name.lower().encode()
        ]
        del headers[places[index - 1]]
    assert headers == remaining


def test_nothing_to_delete() -> None:
    headers = [(b"Subject", b" s")]
    assert policy.apply(headers, "drop", (), OURS) == ([], headers)
