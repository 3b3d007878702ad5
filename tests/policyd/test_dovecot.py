"""Dovecot's auth protocol, however the bytes arrive."""

from __future__ import annotations

import base64
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.dovecot import LONGEST_LINE, MOST_REQUESTS, Dialogue, Login, ProtocolError

Heard = list[bytes | Login | str]


def dialogue() -> Dialogue:
    return Dialogue(pid=1, number=2, cookie="c" * 32)


def hear(*chunks: bytes) -> Heard:
    """What comes of these bytes; a ProtocolError ends it."""
    ours, heard = dialogue(), Heard()
    try:
        for chunk in chunks:
            heard.extend(ours.receive(chunk))
    except ProtocolError as error:
        heard.append(str(error))
    return heard


def response(*parts: bytes) -> bytes:
    return base64.b64encode(b"\0".join(parts))


HELLO = b"VERSION\t1\t0\nCPID\t4711\n"
PLAIN = b"AUTH\t1\tPLAIN\tservice=submission\tnologin\tlip=192.0.2.1\trip=192.0.2.7\tsecured"
INITIAL = PLAIN + b"\tresp=" + response(b"", b"ann", b"pass") + b"\n"
LOGIN = (
    b"AUTH\t7\tLOGIN\tservice=smtp\trip=192.0.2.7\n"
    b"CONT\t7\t" + response("ännchen".encode()) + b"\nCONT\t7\t" + response(b"pass") + b"\n"
)
STREAMS = [
    HELLO + INITIAL,
    HELLO + LOGIN,
    HELLO + LOGIN + INITIAL + b"AUTH\t3\tDIGEST-MD5\tservice=smtp\n",
    HELLO + PLAIN + b"\nCONT\t1\t" + response(b"ann", b"ann", b"pass") + b"\n",
    HELLO + LOGIN + b"CONT\t7\t\n" + INITIAL,
    HELLO + INITIAL + INITIAL,
    HELLO + b"AUTH\t1\tLOGIN\tresp=%%%\n" + b"x" * (LONGEST_LINE + 1),
]


def test_a_login_carries_what_postfix_tells() -> None:
    assert hear(HELLO + INITIAL) == [
        Login(1, "PLAIN", "ann", "pass", "192.0.2.7", secured=True, listener="submission")
    ]
    assert hear(HELLO + LOGIN)[-1] == Login(
        7, "LOGIN", "ännchen", "pass", "192.0.2.7", secured=False, listener="smtp"
    )


def test_a_peer_that_names_no_listener_is_on_none() -> None:
    [login] = hear(HELLO + INITIAL.replace(b"service=submission\t", b""))
    assert isinstance(login, Login)
    assert login.listener == ""


def test_a_mechanism_that_the_listener_does_not_offer_gets_no_prompt() -> None:
    ours = Dialogue(pid=1, number=2, cookie="c" * 32, mechanisms={"smtp": ("PLAIN",)})
    on_smtp = b"AUTH\t7\tLOGIN\tservice=smtp\n"
    assert list(ours.receive(HELLO + on_smtp)) == [
        b"FAIL\t7\treason=this port takes AUTH PLAIN only\n"
    ]
    [prompt] = ours.receive(on_smtp.replace(b"7", b"8").replace(b"smtp", b"submission"))
    assert prompt == b"CONT\t8\tVXNlcm5hbWU6\n"


def test_a_secret_is_not_shown() -> None:
    assert "pass" not in repr(hear(HELLO + INITIAL)[0])


@pytest.mark.parametrize("stream", STREAMS)
def test_byte_by_byte(stream: bytes) -> None:
    assert hear(*(bytes([octet]) for octet in stream)) == hear(stream)


@given(stream=st.sampled_from(STREAMS), seed=st.integers())
def test_split_anywhere(stream: bytes, seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(stream)) for _ in range(chance.randrange(9)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert hear(*chunks) == hear(stream)


@given(st.binary())
def test_any_bytes_are_an_answer_or_a_protocol_error(data: bytes) -> None:
    hear(data)
    hear(HELLO + data + b"\n")
    hear(HELLO + b"AUTH\t1\t" + data)


@given(
    username=st.text(),
    secret=st.text(),
    mechanism=st.sampled_from(["PLAIN", "LOGIN"]),
)
def test_names_are_printable_or_refused(username: str, secret: str, mechanism: str) -> None:
    name, password = (text.encode("utf-8", "surrogatepass") for text in (username, secret))
    if mechanism == "PLAIN":
        heard = hear(HELLO + PLAIN + b"\tresp=" + response(b"", name, password) + b"\n")
    else:
        heard = hear(HELLO + b"AUTH\t1\tLOGIN\nCONT\t1\t" + base64.b64encode(name) + b"\n"
                     b"CONT\t1\t" + base64.b64encode(password) + b"\n")  # fmt: skip
    last = heard[-1]
    if isinstance(last, Login):
        assert (last.username, last.secret) == (username, secret)
        assert username.isprintable() and "\t" not in username
    else:
        assert isinstance(last, bytes) and last.startswith(b"FAIL\t1\treason=")


def test_only_one_answer_per_request() -> None:
    ours = dialogue()
    assert len(list(ours.receive(HELLO + INITIAL))) == 1
    assert ours.ok(1, "ann") == b"OK\t1\tuser=ann\n"
    with pytest.raises(KeyError):
        ours.fail(1, "no")


def test_what_we_write_stays_on_its_line() -> None:
    ours = dialogue()
    list(ours.receive(HELLO + INITIAL))
    assert ours.fail(1, "a\tuser=root\nOK", "b\nc") == b"FAIL\t1\tuser=b?c\treason=a?user=root?OK\n"


def test_requests_under_way_are_bounded() -> None:
    ours = dialogue()
    list(ours.receive(HELLO))
    for number in range(1, MOST_REQUESTS + 1):
        list(ours.receive(INITIAL.replace(b"\t1\t", b"\t%d\t" % number)))
    with pytest.raises(ProtocolError, match="too many"):
        list(ours.receive(INITIAL.replace(b"\t1\t", b"\t99\t")))


def test_an_abandoned_exchange_is_forgotten_and_may_not_be_continued() -> None:
    ours = dialogue()
    list(ours.receive(HELLO))
    for number in range(1, MOST_REQUESTS + 2):
        list(ours.receive(b"AUTH\t%d\tLOGIN\n" % number))
    with pytest.raises(ProtocolError, match="not open"):
        list(ours.receive(b"CONT\t1\tYQ==\n"))
