"""Postfix cuts a long header field and says nothing; what was cut must not be sent."""

from __future__ import annotations

import pytest
from sessions import log_in, offer

from stack.running import RunningStack, Sender

LINE = " " + "x" * 97 + "\r\n"


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("long-fields")


@pytest.mark.parametrize(
    "field",
    [
        pytest.param("X-Long: a\r\n" + LINE * 1_500, id="short lines"),
        pytest.param("X-Long: a\r\n " + "x" * 150_000 + "\r\n", id="one long line"),
        pytest.param("X-Long: a\r\n" + (" " + "x" * 5_900 + "\r\n") * 20, id="long lines"),
    ],
)
def test_150_kilobytes_in_one_field(stack: RunningStack, sender: Sender, field: str) -> None:
    with log_in(stack, sender) as client:
        said = offer(client, sender, f"From: {{0}}\r\n{field}Subject: x")
    assert said.startswith("552 5.3.4 Message header exceeds 54000 bytes in one field"), said


def test_53_kilobytes_arrive(stack: RunningStack, sender: Sender) -> None:
    with log_in(stack, sender) as client:
        said = offer(
            client,
            sender,
            f"From: {{0}}\r\nX-Long: a\r\n{LINE * 535}Subject: x",
            to="53@example.net",
        )
    assert said.startswith("250 "), said
    assert stack.delivered("53@example.net").content.count(LINE.encode()) == 535


def test_a_long_field_of_a_part_arrives_whole(stack: RunningStack, sender: Sender) -> None:
    """disable_mime_input_processing: cleanup cuts the header fields of parts otherwise."""
    part = f"--b\r\nContent-Type: text/plain\r\nX-Long: a\r\n{LINE * 1_500}\r\nHello\r\n--b--\r\n"
    headers = (
        "From: {0}\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b"
    )
    with log_in(stack, sender) as client:
        said = offer(client, sender, headers, to="part@example.net", body=part)
    assert said.startswith("250 "), said
    assert stack.delivered("part@example.net").content.count(LINE.encode()) == 1_500
