"""Header rules: each tells what no mail software writes from what some do."""

from __future__ import annotations

import pytest

from milterd import content

Headers = list[tuple[bytes, bytes]]


def one(name: bytes, value: bytes) -> Headers:
    return [(b"From", b" a@example.com"), (name, b" " + value)]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"hello", id="plain"),
        pytest.param(b"=?utf-8?q?K=C3=A4se?=", id="encoded"),
        pytest.param(b"\n\thello", id="folded before the text"),
        pytest.param(b"?", id="one sign"),
    ],
)
def test_a_subject(value: bytes) -> None:
    assert content.check_subject(one(b"subject", value)) == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="none"),
        pytest.param([(b"Subject", b"")], id="no value"),
        pytest.param([(b"Subject", b" \t")], id="white space"),
        pytest.param([(b"Subject", b" =?utf-8?q??=")], id="empty encoded-word"),
        pytest.param([(b"Subject", b" =?utf-8?q?_?=")], id="encoded space"),
        pytest.param([(b"Subject", b" =?utf-8?b?4oCL?=")], id="encoded zero-width space"),
        pytest.param([(b"X-Subject", b" hello")], id="another header"),
    ],
)
def test_no_subject(headers: Headers) -> None:
    assert content.check_subject(headers) == ["the Subject is missing or empty"]


@pytest.mark.parametrize("name", content.SINGLETONS)
def test_singletons(name: str) -> None:
    header = name.encode()
    assert content.check_singletons([(header, b" a")]) == []
    twice = [(header, b" a"), (header.lower(), b" a")]
    assert content.check_singletons(twice) == [f"there are 2 {name} headers"]


GOOD: list[tuple[str, bytes, bytes]] = [
    ("message-id", b"Message-ID", b"<1@example.com>"),
    ("lower case name", b"Message-Id", b"<1@example.com>"),
    ("JavaMail", b"Message-ID", b"<15541.1.1700000000000.JavaMail.root@app>"),
    ("an address on the left", b"Message-ID", b"<1.bounce@shop.example@mail.example>"),
    ("Outlook's signs", b"Message-ID", b"<!&!AAAAAAAAAAAYAAAA+/=@example.com>"),
    ("a quoted left side", b"Message-ID", b'<"1..2"@example.com>'),
    ("an address literal", b"Message-ID", b"<1@[192.0.2.1]>"),
    ("a relay's comment", b"Message-ID", b"<1@example.com> (added by postmaster@isp.example)"),
    ("folded", b"Message-ID", b"\n\t<1@example.com>"),
    ("1.0", b"MIME-Version", b"1.0"),
    ("Apple's comment", b"Mime-Version", b"1.0 (Mac OS X Mail 16.0 \\(3774.600.62\\))"),
    ("a semicolon", b"MIME-Version", b"1.0;"),
    ("text", b"Content-Type", b"text/plain; charset=utf-8"),
    ("RFC 822 text", b"Content-Type", b"text"),
    ("an empty type", b"Content-Type", b""),
    ("a text with boundary", b"Content-Type", b"text/html; boundary"),
    ("quoted boundary", b"Content-Type", b'multipart/mixed; boundary="=_1:2/3"'),
    ("bare boundary", b"Content-Type", b"multipart/mixed;\n boundary=----=_Part_1_2.3"),
    ("a semicolon at the end", b"Content-Type", b'multipart/mixed; boundary="b";'),
    ("Nodemailer", b"Content-Type", b'multipart/mixed; boundary="--_NmP-0a-Part_1"'),
    (".NET", b"Content-Type", b"multipart/mixed; boundary=--boundary_0_7c0b8f3e-1a2b"),
    (
        "Apple Mail",
        b"Content-Type",
        b'multipart/alternative;\n\tboundary="Apple-Mail=_98-76"; charset=utf-8',
    ),
    ("signed", b"Content-Type", b'multipart/signed; protocol="a/b"; micalg=sha-256; boundary=b'),
    ("one sender", b"Sender", b"Shop <shop@example.com>"),
    ("a comma in quotes", b"Sender", b'"Smith, J." <a@example.com>'),
    ("the address as name", b"Sender", b"a@example.com <A@example.com>"),
    ("an address in quotes", b"Sender", b'"b@other.example" <a@example.com>'),
    ("an address in a comment", b"Sender", b"a@example.com (b@other.example)"),
    ("no recipient shown", b"To", b"undisclosed-recipients:;"),
    ("empty To", b"To", b""),
    ("8-bit name", b"To", "Käse <a@example.com>".encode()),
    ("encoded name", b"Cc", b"=?utf-8?q?K=C3=A4se?= <a@example.com>"),
    ("encoded tab", b"Reply-To", b"=?utf-8?q?a=09b?= <a@example.com>"),
    ("an odd date", b"Date", b"21.11.2026 10:00"),
    ("an encoded line end in a subject", b"Subject", b"=?utf-8?b?SGVsbG8K?="),
    ("8bits", b"Content-Transfer-Encoding", b"8bits"),
]
BAD: list[tuple[str, bytes, bytes, str]] = [
    ("empty", b"Message-ID", b"", "the Message-ID is not of the form"),
    ("no brackets", b"Message-ID", b"1@example.com", "the Message-ID is not"),
    ("no domain", b"message-id", b"<20261121.1>", "the message-id is not"),
    ("white space", b"Message-ID", b"<1 2@example.com>", "the Message-ID is not"),
    ("two", b"Message-ID", b"<1@a.example> <2@a.example>", "the Message-ID is not"),
    ("open", b"Message-ID", b"<1@a.example", "the Message-ID is not"),
    ("another version", b"MIME-Version", b"2.0", "the MIME-Version is not 1.0"),
    ("an endless version", b"MIME-Version", b"1.0" + b" " * 200 + b"(x)", "longer than 200"),
    ("no version", b"MIME-Version", b"", "the MIME-Version is not 1.0"),
    ("only a comment", b"MIME-Version", b"(1.0)", "the MIME-Version is not 1.0"),
    ("no boundary", b"Content-Type", b"multipart/mixed", "multipart/mixed has no boundary"),
    ("empty boundary", b"Content-Type", b'multipart/mixed; boundary=""', "no unambiguous"),
    ("two boundaries", b"Content-Type", b"multipart/mixed; boundary=a; boundary=b", "no unamb"),
    ("the same twice", b"Content-Type", b"multipart/mixed; boundary=a; BOUNDARY=a", "no unamb"),
    ("RFC 2231", b"Content-Type", b"multipart/mixed; boundary*=utf-8''a", "no unamb"),
    ("in pieces", b"Content-Type", b"multipart/mixed; boundary*0=a; boundary*1=b", "no unamb"),
    ("a bare space", b"Content-Type", b"multipart/mixed; boundary=a b", "no unamb"),
    ("a space at the end", b"Content-Type", b'multipart/mixed; boundary="a "', "no unamb"),
    ("broken UTF-8", b"Content-Type", b"multipart/mixed; boundary=\xff", "no unamb"),
    ("two senders", b"Sender", b"a@x.example, b@y.example", "more than one address"),
    ("two in brackets", b"Sender", b"A <a@x.example> <b@y.example>", "more than one address"),
    ("another as name", b"Sender", b"b@y.example <a@x.example>", "more than one address"),
    ("a group of two", b"Sender", b"g: a@x.example, b@y.example;", "more than one address"),
    ("endless", b"Sender", b"a" * 2_000, "longer than 1998"),
    ("encoded line end", b"To", b"=?utf-8?q?a=0D=0ABcc:_x?= <a@x.example>", "encoded control"),
    ("encoded NUL", b"Cc", b"=?utf-8?b?AA==?= <a@x.example>", "encoded control"),
    ("encoded C1", b"Reply-To", b"=?utf-8?q?=C2=85?= <a@x.example>", "encoded control"),
    ("in a strange charset", b"To", b"=?x-a?q?=0A?= <a@x.example>", "encoded control"),
    ("in Python's punycode", b"To", b"=?punycode?q?=0A-?= <a@x.example>", "encoded control"),
    ("encoded in Sender", b"Sender", b"=?utf-8?q?=0A?= <a@x.example>", "encoded control"),
]


@pytest.mark.parametrize(("name", "value"), [pytest.param(*c[1:], id=c[0]) for c in GOOD])
def test_what_real_programs_write(name: bytes, value: bytes) -> None:
    assert content.check_malformed(one(name, value)) == []


@pytest.mark.parametrize(("name", "value", "words"), [pytest.param(*c[1:], id=c[0]) for c in BAD])
def test_what_no_program_writes(name: bytes, value: bytes, words: str) -> None:
    (error,) = content.check_malformed(one(name, value))
    assert words in error
    assert "," not in error


@pytest.mark.parametrize("encoding", [b"7bit", b"8BIT", b" binary (x)", b""])
def test_a_multipart_as_it_is(encoding: bytes) -> None:
    headers = [(b"Content-Type", b" multipart/mixed; boundary=b")]
    assert content.check_malformed([*headers, (b"Content-Transfer-Encoding", encoding)]) == []


@pytest.mark.parametrize("encoding", [b"base64", b" Quoted-Printable", b"x-uuencode", b"8bits"])
def test_an_encoded_multipart(encoding: bytes) -> None:
    headers = [
        (b"Content-Transfer-Encoding", encoding),
        (b"Content-Type", b" Multipart/Mixed; boundary=b"),
    ]
    (error,) = content.check_malformed(headers)
    assert "must not be encoded as a whole" in error


def test_an_encoded_text() -> None:
    headers = [(b"Content-Type", b" text/plain"), (b"Content-Transfer-Encoding", b" base64")]
    assert content.check_malformed(headers) == []


def test_clauses_are_few_and_hold_no_comma() -> None:
    headers = [(b"a, b", b" x"), *[(b"X,Y", b" \x00")] * 9]
    errors = content.check_fields(headers)
    assert len(errors) == content.MOST_ERRORS
    assert not any("," in error for error in errors)
    assert len(content.check_malformed([(b"Message-ID", b"")] * 9)) == content.MOST_ERRORS


def test_a_field_that_postfix_may_have_cut() -> None:
    whole = b" " + b"x" * (content.LONGEST_FIELD - 4)
    assert content.check_field_sizes([(b"A", whole)]) is None
    assert content.check_field_sizes([(b"B", b""), (b"A", whole + b"x")]) == (
        "54000 bytes in one field"
    )
