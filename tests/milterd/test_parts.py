"""However a body is cut: what Python's parser finds in good mail, and all there is in bad."""

from __future__ import annotations

import base64
import email
import email.policy
import quopri
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milterd.attachments import Found
from milterd.parts import MOST_LEVELS, MOST_PARTS, Scanner

PE = b"MZ\x90\x00\x03\x00\x00\x00" + bytes(range(256)) * 20
Headers = list[tuple[bytes, bytes]]
MIXED: Headers = [(b"Content-Type", b" multipart/mixed; boundary=b")]
EXE = b'Content-Disposition: attachment; filename="a.exe"\r\n\r\nx\r\n'


def scan(body: bytes, headers: Headers = MIXED, cuts: list[int] | None = None) -> Found:
    scanner = Scanner(headers)
    start = 0
    for end in [*sorted(min(cut, len(body)) for cut in cuts or []), len(body)]:
        scanner.feed(body[start:end])
        start = end
    return scanner.finish()


def names(body: bytes, headers: Headers = MIXED) -> list[str]:
    return [attachment.name for attachment in scan(body, headers).attachments]


def taken_apart(message: EmailMessage) -> tuple[Headers, bytes]:
    raw = message.as_bytes(policy=email.policy.SMTP)
    head, _, body = raw.partition(b"\r\n\r\n")
    parsed = email.message_from_bytes(head + b"\r\n\r\n", policy=email.policy.compat32)
    return [(name.encode(), b" " + str(value).encode()) for name, value in parsed.items()], body


# --- good mail ---


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "x"
    message.set_content("hello\n-- \nme\n--\n--x\n")
    message.add_alternative("<p>hello</p>", subtype="html")
    return message


def test_text_and_html_are_no_attachments() -> None:
    headers, body = taken_apart(letter())
    assert scan(body, headers) == Found()


@pytest.mark.parametrize("cte", ["base64", "quoted-printable", "8bit"])
def test_an_attachment_in_each_encoding(cte: str) -> None:
    message = letter()
    if cte == "base64":
        message.add_attachment(PE, "application", "pdf", filename="Käse 1.pdf", cte=cte)
    else:
        message.add_attachment("#!/bin/sh\n" * 900, "x-sh", filename="Käse 1.pdf", cte=cte)
    headers, body = taken_apart(message)
    found = scan(body, headers)
    (attachment,) = found.attachments
    assert attachment.name == "Käse 1.pdf"
    assert attachment.detected == ("exe" if cte == "base64" else "sh")
    wanted = len(PE) if cte == "base64" else 9_900
    assert abs(attachment.size - wanted) < wanted / 50
    assert found.errors == ()


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]))
FILES = st.tuples(
    TEXTS.map(lambda text: f"a{text[:30]}.bin"),
    st.binary(max_size=3_000),
    st.sampled_from(["base64", "quoted-printable"]),
    st.sampled_from(["attachment", "inline"]),
)


@given(st.lists(FILES, max_size=4), st.booleans(), st.lists(st.integers(0, 9_000), max_size=6))
def test_agrees_with_pythons_parser_for_every_split(
    files: list[tuple[str, bytes, str, str]], forwarded: bool, cuts: list[int]
) -> None:
    message = letter()
    for name, data, cte, disposition in files:
        message.add_attachment(
            data, "application", "x-y", filename=name, cte=cte, disposition=disposition
        )
    if forwarded:
        outer = letter()
        outer.add_attachment(message)
        message = outer
    headers, body = taken_apart(message)
    found = scan(body, headers, cuts)
    parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    expected = [
        part.get_filename() or ""
        for part in parsed.walk()
        if part.get_filename() or part.get_content_type() == "message/rfc822"
    ]
    assert [a.name for a in found.attachments] == expected
    assert found.errors == ()
    assert found == scan(body, headers)


def test_a_message_that_is_one_attachment() -> None:
    headers = [
        (b"content-type", b" application/octet-stream;\n\tname=a.exe"),
        (b"Content-Transfer-Encoding", b" BASE64"),
    ]
    (attachment,) = scan(base64.encodebytes(PE).replace(b"\n", b"\r\n"), headers).attachments
    assert (attachment.name, attachment.detected) == ("a.exe", "exe")


def test_a_text_that_is_an_attachment() -> None:
    headers = [(b"Content-Type", b" text/plain"), (b"Content-Disposition", b' attachment; x="')]
    assert len(scan(b"hello\r\n", headers).attachments) == 1


@pytest.mark.parametrize("headers", [[], [(b"Content-Type", b" text/plain; charset=utf-8")]])
def test_a_text_is_none(headers: Headers) -> None:
    assert scan(b"hello\r\n--b\r\n" + EXE, headers) == Found()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b'Content-Disposition: attachment; filename="a b.exe"', "a b.exe"),
        (b"Content-Disposition: attachment; filename=a.exe; size=7", "a.exe"),
        (b'Content-Disposition: attachment;\r\n\tfilename="a.exe"', "a.exe"),
        (b"Content-Disposition: attachment; filename*=utf-8''a%2Eexe", "a.exe"),
        (b"Content-Disposition: attachment; filename*=iso-8859-1'de'%E4.exe", "ä.exe"),
        (b"Content-Disposition: attachment; filename*=nonsense''a.exe", "a.exe"),
        (b"Content-Disposition: attachment; filename*=zlib''a.exe", "a.exe"),
        (b'Content-Disposition: attachment; filename*0="a."; filename*1=exe', "a.exe"),
        (b"Content-Disposition: attachment; filename*1=exe; filename*0*=''a%2E", "a.exe"),
        (b'Content-Disposition: attachment; filename="=?utf-8?q?a=2Eexe?="', "a.exe"),
        (b"Content-Disposition: attachment; filename==?utf-8?b?YS5leGU=?=", "a.exe"),
        (b'Content-Disposition: attachment; filename="\xc3\xa4.exe"', "ä.exe"),
        (b'Content-Disposition: attachment; filename="a\\".exe"', 'a".exe'),
        (b'Content-Disposition: attachment; filename="a;.exe"', "a;.exe"),
        (b'Content-Disposition: attachment; filename="a.exe', "a.exe"),
        (b'Content-Disposition: attachment filename="a.exe"', "a.exe"),
        (b"Content-Disposition: attachment; FileName = a.exe", "a.exe"),
        (b"content-type: text/plain; name=a.exe", "a.exe"),
        (b"Content-Type : text/plain; name=a.exe", "a.exe"),
        (b"no header at all\r\nContent-Type: text/plain; name=a.exe", "a.exe"),
    ],
)
def test_names(header: bytes, expected: str) -> None:
    assert names(b"--b\r\n" + header + b"\r\n\r\nx\r\n--b--\r\n") == [expected]


def test_every_name_that_a_program_may_show() -> None:
    body = (
        b"--b\r\nContent-Type: text/plain; name=one.exe\r\n"
        b"Content-Disposition: attachment; filename=two.txt x; filename*=''three.exe\r\n"
        b"Content-Disposition: attachment; filename=four.exe\r\n\r\nx\r\n--b--\r\n"
    )
    (attachment,) = scan(body).attachments
    assert set(attachment.names) == {
        "one.exe", "two.txt x", "two.txt", "three.exe", "four.exe"
    }  # fmt: skip


# --- bad mail ---

INNER = b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n"
EMBEDDED = b"Content-Type: message/rfc822\r\n\r\n"
DIGEST = b"Content-Type: multipart/digest; boundary=c\r\n\r\n"
B, END = b"--b\r\n", b"--b--\r\n"
OPEN = EXE.partition(b"\r\n\r\n")[0]  # a header without its end
HOSTILE: list[tuple[str, bytes, list[str]]] = [
    ("no final boundary", B + EXE, ["a.exe"]),
    ("after the final boundary", B + b"\r\nx\r\n" + END + B + EXE, ["a.exe"]),
    ("preamble and epilogue", b"pre\r\n\r\n" + B + EXE + END + b"epi\r\n", ["a.exe"]),
    ("headers without content", B + OPEN + b"\r\n--b--", ["a.exe"]),
    ("headers at the very end", B + OPEN, ["a.exe"]),
    ("white space after the boundary", b"--b \t\r\n" + EXE, ["a.exe"]),
    ("bare LF", (B + EXE + END).replace(b"\r\n", b"\n"), ["a.exe"]),
    ("bare LF before the boundary", b"x\n--b\n" + EXE, ["a.exe"]),
    ("bare CR", (b"x\r\n" + B + EXE + END).replace(b"\r\n", b"\r"), ["a.exe"]),
    ("an outer boundary", B + INNER % b"c" + b"--c\r\n\r\nx\r\n" + B + EXE, ["a.exe"]),
    ("begins like the other", B + INNER % b"bc" + b"--bc\r\n" + EXE + b"--bc--\r\n", ["a.exe"]),
    ("the same twice", B + INNER % b"b" + B + EXE + END + END, ["a.exe"]),
    ("a closed inner one", B + INNER % b"c" + b"--c--\r\n--c\r\n" + EXE, ["a.exe"]),
    ("boundary in a header", B + b"X: y\r\n" + B + EXE, ["a.exe"]),
    ("an empty body", b"", []),
    ("no boundary at all", b"hello\r\n", []),
    ("not at a line's beginning", b"x--b\r\n" + EXE, []),
    ("message", B + EMBEDDED + b"From: a\r\n" + INNER % b"c" + b"--c\r\n" + EXE, ["", "a.exe"]),
    ("message of one part", B + EMBEDDED + EXE, ["", "a.exe"]),
    ("digest", B + DIGEST + b"--c\r\n\r\n" + EXE, ["", "a.exe"]),
    ("uuencode", B + b"\r\nhi\r\nbegin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n" + END, ["a.exe"]),
]


@pytest.mark.parametrize(("body", "expected"), [pytest.param(*c[1:], id=c[0]) for c in HOSTILE])
def test_hostile(body: bytes, expected: list[str]) -> None:
    assert names(body) == expected
    assert scan(body).errors == ()


@pytest.mark.parametrize("body", [pytest.param(c[1], id=c[0]) for c in HOSTILE])
def test_hostile_byte_by_byte(body: bytes) -> None:
    assert scan(body, cuts=list(range(len(body)))) == scan(body)


def test_uuencode_in_a_plain_message() -> None:
    assert names(b"hi\r\nbegin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n", []) == ["a.exe"]


ERRORS: list[tuple[str, bytes, str]] = [
    ("text after a boundary", b"--bc\r\n" + EXE, "goes on with other text"),
    ("no boundary", b"--b\r\nContent-Type: multipart/mixed\r\n\r\n--c\r\n" + EXE, "no unambiguous"),
    (
        "an encoded multipart",
        b"--b\r\nContent-Transfer-Encoding: base64\r\n" + INNER % b"c" + b"--c\r\n\r\nx\r\n",
        "encoded as a whole",
    ),
    (
        "two types",
        b"--b\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n",
        "more than one Content-Type",
    ),
    ("in pieces", b"--b\r\nContent-Type: message/partial\r\n\r\nx\r\n", "message/partial"),
    ("a long header", b"--b\r\n" + b"X: y\r\n" * 9_000, "longer than 16384 bytes"),
    (
        "deep",
        b"".join(b"--%s\r\n" % (b"b" * n) + INNER % (b"b" * (n + 1)) for n in range(1, 40)),
        f"more than {MOST_LEVELS} levels",
    ),
    (
        "message in message",
        b"--b\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 40,
        "levels deep",
    ),
    ("many parts", b"--b\r\n\r\n" * 10_000, f"more than {MOST_PARTS} parts"),
    ("many closed parts", b"--b--\r\n--b\r\n" * 10_000, f"more than {MOST_PARTS} parts"),
    ("many dashes", b"--b\r\n\r\n" + b"--\r\n" * 200_000, "lines begin with two hyphens"),
    (
        "long headers",
        (b"--b\r\nX: " + b"y" * 900 + b"\r\n\r\nx\r\n") * 300,
        "of all parts are longer than 262144 bytes",
    ),
    ("long uuencoded names", b"--b\r\n" + (b"\r\nbegin 644 " + b"a" * 900) * 300, "of all parts"),
    (
        "many names",
        b"--b\r\nContent-Type: a/b"
        + b"".join(b";\r\n name=%d" % n for n in range(21))
        + b"\r\n\r\nx\r\n",
        "more than 20 names",
    ),
    ("many uuencoded", b"--b\r\n\r\n" + b"begin 644 a\r\n" * 10_000, f"more than {MOST_PARTS}"),
]


@pytest.mark.parametrize(("body", "words"), [pytest.param(*c[1:], id=c[0]) for c in ERRORS])
def test_errors(body: bytes, words: str) -> None:
    found = scan(body)
    (error,) = found.errors
    assert words in error
    assert "," not in error
    assert len(found.attachments) <= MOST_PARTS + MOST_LEVELS + 1
    assert scan(body, cuts=[3, 10, 11, 500, 4_000]) == found


def test_a_line_too_long_ends_the_scan() -> None:
    scanner = Scanner(MIXED)
    for _ in range(100):
        scanner.feed(b"z" * 65_535)
    assert len(scanner._rest) <= 2 * 65_535
    assert scanner.finish() == Found()


PIECES = st.sampled_from(
    [
        b"--b\r\n", b"--b--\r\n", b"--c\r\n", b"--c--\r\n", b"--bc\r\n", b"--b", b"\r\n", b"\r",
        b"\n", b"-", b"x", INNER % b"c", EXE, b"Content-Type: message/rfc822\r\n",
        b"begin 644 u\r\n", b"\rbegin 644 v\r\n", b"\r--b\r",
        b"Content-Transfer-Encoding: base64\r\n", base64.b64encode(PE)[:200], b"y" * 400,
        b"Content-Type: application/x\r\n", b"\r\n\r\n", b" \t",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map(b"".join), st.lists(st.integers(0, 3_000), max_size=8))
def test_every_split_gives_the_same(body: bytes, cuts: list[int]) -> None:
    assert scan(body, cuts=cuts) == scan(body)


@given(st.binary(max_size=2_000), st.lists(st.integers(0, 2_000), max_size=4))
def test_no_bytes_break_it(body: bytes, cuts: list[int]) -> None:
    assert scan(body, cuts=cuts) == scan(body)


def digest(body: bytes, boundary: bytes, cuts: list[int] | None = None) -> bytes | None:
    headers = [(b"Content-Type", b" multipart/mixed; boundary=" + boundary)]
    scanner = Scanner(headers, hashing=True)
    start = 0
    for end in [*sorted(min(cut, len(body)) for cut in cuts or []), len(body)]:
        scanner.feed(body[start:end])
        start = end
    scanner.finish()
    return scanner.digest()


NESTED = b"pre\r\n--%s\r\n" + INNER + b"--%s\r\n" + EXE + b"--%s--\r\n--%s--\r\npost\r\n"


def test_the_digest_does_not_see_boundaries() -> None:
    one = NESTED % (b"b", b"c", b"c", b"c", b"b")
    other = NESTED % (b"outer", b"inner", b"inner", b"inner", b"outer")
    assert digest(one, b"b") == digest(other, b"outer")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param((b"\r\nx\r\n", b"\r\ny\r\n"), id="content"),
        pytest.param((b"a.exe", b"b.exe"), id="a file's name"),
        pytest.param((b"pre", b"per"), id="preamble"),
        pytest.param((b"post", b"past"), id="epilogue"),
        pytest.param((b"--c--\r\n", b"--c\r\n"), id="another part"),
        pytest.param((b"--c--\r\n", b""), id="another end"),
    ],
)
def test_the_digest_sees_the_rest(change: tuple[bytes, bytes]) -> None:
    body = NESTED % (b"b", b"c", b"c", b"c", b"b")
    assert change[0] in body
    assert digest(body.replace(*change), b"b") != digest(body, b"b")


def test_there_is_no_digest_when_the_scan_ends_early() -> None:
    assert digest(b"--b\r\n\r\n" * 2_000, b"b") is None


@given(st.lists(PIECES, max_size=30).map(b"".join), st.lists(st.integers(0, 3_000), max_size=8))
def test_the_digest_is_the_same_for_every_split(body: bytes, cuts: list[int]) -> None:
    assert digest(body, b"b", cuts) == digest(body, b"b")


def test_quoted_printable_bytes_are_seen() -> None:
    body = (
        b"--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + quopri.encodestring(PE[:300]).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )
    assert scan(body).attachments[0].detected == "exe"


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(base64.b64encode(PE[:300]), id="one line"),
        pytest.param(b"  " + base64.b64encode(PE[:300]) + b"\r\n", id="indented"),
        pytest.param(b"=" + base64.b64encode(PE[:300]), id="padding first"),
        pytest.param(b"!*" + base64.b64encode(PE[:300]), id="other signs first"),
        pytest.param(base64.b64encode(PE[:299])[:-3], id="cut off"),
        pytest.param(b"\r\n".join(b"%c" % c for c in base64.b64encode(PE[:99])), id="in letters"),
    ],
)
def test_base64_as_readers_take_it(encoded: bytes) -> None:
    header = b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert scan(B + header + encoded + b"\r\n" + END).attachments[0].detected == "exe"


def test_without_judging_only_the_digest_is_made() -> None:
    body = NESTED % (b"b", b"c", b"c", b"c", b"b")
    scanner = Scanner(MIXED, hashing=True, judging=False)
    scanner.feed(body + b"\r\nbegin 644 a.exe\r\n")
    assert scanner.finish() == Found()
    assert scanner.digest() == digest(body + b"\r\nbegin 644 a.exe\r\n", b"b")
