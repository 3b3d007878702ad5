from __future__ import annotations

import pytest

from milterd.idempotency import content_digest, idempotency_key

Headers = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        pytest.param([(b"Subject", b" x")], None, id="none"),
        pytest.param([(b"X-Idempotency-Key", b" order-7")], "order-7", id="ours"),
        pytest.param([(b"resend-idempotency-key", b" welcome/1")], "welcome/1", id="Resend's"),
        pytest.param(
            [(b"X-Idempotency-Key", b" a"), (b"Resend-Idempotency-Key", b"a")], "a", id="both alike"
        ),
        pytest.param([(b"X-Idempotency-Key", b"\n\ta b ")], "a b", id="folded"),
        pytest.param([(b"X-Idempotency-Key", b"k" * 255)], "k" * 255, id="255"),
        pytest.param([(b"X-Idempotency-Key", b"k")], "k", id="1"),
    ],
)
def test_a_key(headers: Headers, key: str | None) -> None:
    assert idempotency_key(headers) == (key, [])


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        pytest.param(
            [(b"X-Idempotency-Key", b" a"), (b"Resend-Idempotency-Key", b" b")], "different", id="2"
        ),
        pytest.param(
            [(b"X-Idempotency-Key", b" a"), (b"x-idempotency-key", b" b")], "different", id="twice"
        ),
        pytest.param([(b"X-Idempotency-Key", b" ")], "empty", id="empty"),
        pytest.param([(b"X-Idempotency-Key", b"k" * 256)], "longer than 255", id="256"),
        pytest.param([(b"X-Idempotency-Key", "kä".encode())], "printable ASCII", id="8-bit"),
        pytest.param([(b"X-Idempotency-Key", b"a\tb")], "printable ASCII", id="tab"),
    ],
)
def test_no_key(headers: Headers, words: str) -> None:
    key, (error,) = idempotency_key(headers)
    assert key is None
    assert words in error
    assert "," not in error


BASE: Headers = [
    (b"From", b" Shop <a@x.example>"),
    (b"To", b" b@y.example"),
    (b"Subject", b" hello\n\tworld"),
    (b"Date", b" today"),
]


def digest(
    headers: Headers = BASE,
    recipients: tuple[str, ...] = ("b@y.example", "c@y.example"),
    author: str = "a@x.example",
    body: bytes = b"\x01" * 32,
) -> str:
    return content_digest(author, recipients, headers, body)


@pytest.mark.parametrize(
    ("headers", "recipients"),
    [
        pytest.param(BASE, ("c@y.example", "b@y.example"), id="recipients in another order"),
        pytest.param(BASE, ("c@y.example", "b@y.example", "b@y.example"), id="one twice"),
        pytest.param(BASE[:3], ("b@y.example", "c@y.example"), id="no Date"),
        pytest.param([*BASE, (b"Message-ID", b" <1@x>")], ("b@y.example", "c@y.example"), id="ID"),
        pytest.param(BASE[::-1], ("b@y.example", "c@y.example"), id="headers in another order"),
        pytest.param(
            [(b"SUBJECT", b"hello\r\n\tworld "), *BASE[:2]],
            ("b@y.example", "c@y.example"),
            id="white space and case",
        ),
    ],
)
def test_the_same(headers: Headers, recipients: tuple[str, ...]) -> None:
    assert digest(headers, recipients) == digest()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(digest([*BASE[:2], (b"Subject", b" other")]), id="subject"),
        pytest.param(digest([*BASE, (b"Cc", b" d@y.example")]), id="a Cc"),
        pytest.param(digest([*BASE, (b"Reply-To", b" d@y.example")]), id="a Reply-To"),
        pytest.param(digest([*BASE, (b"Reply-To", b"")]), id="an empty Reply-To"),
        pytest.param(digest(recipients=("b@y.example",)), id="fewer recipients"),
        pytest.param(digest(recipients=("b@y.examplec@y.example",)), id="two run together"),
        pytest.param(digest(author="b@x.example"), id="author"),
        pytest.param(digest(body=b"\x02" * 32), id="body"),
    ],
)
def test_another(other: str) -> None:
    assert other != digest()
    assert len(other) == 64
