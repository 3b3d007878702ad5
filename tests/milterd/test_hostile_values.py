"""No header value takes long, whatever stands in it: time grows with its length and not faster.

The bounds are ten times what is usual here, on this thread's own clock; a quadratic pattern
exceeds them a hundredfold.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from franking.domains.names import to_ascii
from franking.mail import envelope
from franking.mail.address import AddressError, parse_from
from franking.mail.words import decode_words
from franking.reasons import Invalid
from milterd import content, idempotency, labels, mailclients, mime
from milterd.attachments import check_attachments, extension
from milterd.parts import Scanner

SIZE = 100_000  # octets; Postfix hands over no longer field
LONGEST = 3.0  # seconds, on a machine that has other things to do

REPEATED = [
    b"(", b"(\\", b'"', b'"\\', b'\\"', b";", b'; a="', b"; name=", b"; name*0=", b"=", b",",
    b" ", b"\n ", b"\n\t", b"a", b"a.", b"@", b"<a@", b'[[', b'{"a":', b"=?", b"=?a?q?",
    b"=?utf-8?q?=41?= ", b"=?=?q?", b"\xef\xb7\xba",
]  # fmt: skip
BEFORE = [b"", b'a/b; name="', b"1.0 (", b"=?punycode?q?"]
NAMES = [
    b"Sender", b"To", b"Message-ID", b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding",
    b"X-Mailer", b"X-Franking-Tags", b"X-PM-Tag", b"X-Franking-Metadata-a", b"X-SMTPAPI",
    b"X-Idempotency-Key",
]  # fmt: skip


def read_header(value: bytes) -> None:
    """All that is done to a header value, under every name that is read in its own way."""
    headers = [(name, b" " + value) for name in NAMES]
    content.check_fields(headers)
    content.check_malformed([*headers, (b"Content-Type", b"multipart/mixed")])
    content.check_subject([(b"Subject", value)])
    mailclients.check_client(headers)
    labels.read(headers, "X-Franking-Tags")
    idempotency.idempotency_key(headers)


def read_address(value: bytes) -> None:
    for given in (value, value[:1_900], b'"' + value[:1_900] + b'" <a@b.example>'):
        with suppress(AddressError):
            parse_from([given], smtputf8=True)
    text = value.decode("utf-8", "replace")
    envelope.objection(f"a@{text}")
    with suppress(Invalid):
        to_ascii(text)


def read_parameters(value: bytes) -> None:
    for parameters in (mime.parse(value)[1], mime.parse(b"a/b; name=" + value)[1]):
        for name in mime.names(parameters):
            extension(name)
    mime.boundary(value)
    mime.encoding(value)


@pytest.mark.parametrize("repeated", REPEATED, ids=repr)
@pytest.mark.parametrize("read", [read_header, read_address, read_parameters])
def test_no_value_takes_long(read: Callable[[bytes], None], repeated: bytes) -> None:
    for before in BEFORE:
        value = before + repeated * (SIZE // len(repeated))
        before_it = time.thread_time()
        read(value)
        assert time.thread_time() - before_it < LONGEST, value[:40]


def test_unknown_charsets_are_not_looked_for() -> None:
    words = " ".join(f"=?x{number}?q?a?=" for number in range(8_000))
    before = time.thread_time()
    assert decode_words(words) == words
    assert time.thread_time() - before < LONGEST / 10


NAMED = b"--x\r\nContent-Type: application/x" + b"".join(
    b';\r\n name="a b.%d"' % number for number in range(900)
)
PIECES = b"--x\r\nContent-Type: application/x" + b"".join(
    b";\r\n name*%d=a" % number for number in range(900)
)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(NAMED, id="names"),
        pytest.param(PIECES, id="pieces of a name"),
        pytest.param(b"--x\r\n" + b"a\r\n" * 5_000, id="short lines"),
        pytest.param(b"--x\r\nContent-Type: a/b" + b"\r\n \t" * 4_000, id="folds"),
        pytest.param(b"--x\r\n\r\nbegin 644 " + b"\xef\xb7\xba" * 300, id="uuencoded names"),
    ],
)
def test_a_thousand_parts(part: bytes) -> None:
    before = time.thread_time()
    scanner = Scanner([(b"Content-Type", b" multipart/mixed; boundary=x")], hashing=True)
    for _ in range(990):
        scanner.feed(part + b"\r\n\r\nabc\r\n")
    found = scanner.finish()
    assert check_attachments(found, ["pdf"], ["exe"])
    assert time.thread_time() - before < 3 * LONGEST
