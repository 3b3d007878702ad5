"""Policy requests, however the bytes arrive, and answers that cannot be misread."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.delegation import LONGEST_REQUEST, Parser, ProtocolError, Request, encode

FIRST = (
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=a=b@example.com\n"
    b"recipient=j\xc3\xb6rg@example.net\nsasl_username=ann\nccert_subject=\nnew_in_4.0=x\n\n"
)
SECOND = b"request=smtpd_access_policy\nprotocol_state=DATA\nrecipient_count=2\n\n"
STREAMS = [FIRST, FIRST + SECOND, SECOND + b"nonsense\n\n", FIRST + b"x" * (LONGEST_REQUEST + 1)]
Heard = list[Request | str]


def hear(*chunks: bytes) -> Heard:
    parser, heard = Parser(), Heard()
    try:
        for chunk in chunks:
            heard.extend(parser.receive(chunk))
    except ProtocolError as error:
        heard.append(str(error))
    return heard


def test_known_attributes_are_kept_and_others_ignored() -> None:
    assert hear(FIRST + SECOND) == [
        Request(
            request="smtpd_access_policy",
            protocol_state="RCPT",
            sender="a=b@example.com",
            recipient="jörg@example.net",
            sasl_username="ann",
        ),
        Request(request="smtpd_access_policy", protocol_state="DATA", recipient_count="2"),
    ]


@pytest.mark.parametrize("stream", STREAMS[:-1])  # the last is too long for that
def test_byte_by_byte(stream: bytes) -> None:
    assert hear(*(bytes([octet]) for octet in stream)) == hear(stream)


@given(stream=st.sampled_from(STREAMS), seed=st.integers())
def test_split_anywhere(stream: bytes, seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(stream)) for _ in range(chance.randrange(9)))
    edges = [0, *cuts, len(stream)]
    assert hear(*(stream[a:b] for a, b in itertools.pairwise(edges))) == hear(stream)


@given(st.binary())
def test_any_bytes_are_a_request_or_a_protocol_error(data: bytes) -> None:
    hear(data)
    hear(b"request=smtpd_access_policy\nsender=" + data + b"\n\n")


def test_the_limit_is_for_one_request_not_for_the_connection() -> None:
    assert len(hear(*[FIRST] * 1_000)) == 1_000


def test_a_request_of_exactly_the_limit() -> None:
    start, end = b"request=smtpd_access_policy\nstress=", b"\n\n"
    room = LONGEST_REQUEST - len(start) - len(end)
    assert len(hear(start + b"x" * room + end)) == 1
    assert hear(start + b"x" * (room + 1) + end) == [
        f"a request of more than {LONGEST_REQUEST} octets"
    ]


@pytest.mark.parametrize(
    ("action", "octets"),
    [
        ("DUNNO", b"action=DUNNO\n\n"),
        ("", b"action=DUNNO\n\n"),
        ("554 5.7.1 No\n\naction=OK", b"action=554 5.7.1 No??action=OK\n\n"),
        ("554 5.7.1", b"action=554 5.7.1 Refused\n\n"),
        ("554 5.7.1  ", b"action=554 5.7.1 Refused\n\n"),
        ("450", b"action=450 Refused\n\n"),
        ("554 5.7.1 Größe", "action=554 5.7.1 Größe\n\n".encode()),
    ],
)
def test_actions(action: str, octets: bytes) -> None:
    assert encode(action) == octets


@given(st.text())
def test_an_answer_is_one_line_and_an_empty_one(action: str) -> None:
    answer = encode(action)
    assert answer.startswith(b"action=") and len(answer) > len(b"action=\n\n")
    assert answer.count(b"\n") == 2 and answer.endswith(b"\n\n") and b"\r" not in answer
