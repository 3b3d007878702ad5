"""Messages that are made to hurt whoever reads them, and what hypothesis makes of the corpus.

`make fuzz` lets it try 10,000 of each.
"""

from __future__ import annotations

import gc
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora import returned
from tests.corpora.returned import Places
from worker.inbound.reading import Limits, Report, Unreadable, read
from worker.inbound.report import Failed

MOST_MEMORY = 50 << 20  # octets besides the message itself
CORPUS = [case.message(Places()) for case in returned.cases()]
MEGABYTE = 1 << 20  # more than twice that is not looked at
REPORT = (
    b"From: MAILER-DAEMON@x.example\nMIME-Version: 1.0\n"
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n"
)
STATUS = REPORT + b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"
TEXT = b"From: MAILER-DAEMON@x.example\nSubject: failure notice\n"
RECIPIENT = b"Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n"


def nested(levels: int) -> bytes:
    """Multiparts within each other, the boundary of each the beginning of the next one's."""
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=%s\n\n--%s\n" % ((b"b" * level,) * 2)
        for level in range(1, levels)
    )


HOSTILE: dict[str, Callable[[], bytes]] = {
    "20 MB of nothing": lambda: b"\0" * (20 * MEGABYTE),
    "20 MB of text": lambda: TEXT + b"\n" + b"a@b.example could not be delivered\n" * 600_000,
    "one line": lambda: TEXT + b"\n" + b"a" * (20 * MEGABYTE),
    "one line of addresses": lambda: TEXT + b"\n" + b"a@b.example," * MEGABYTE,
    "no address in a long word": lambda: TEXT + b"\nhere is your list of failed recipients\n"
    + b"<" * 4 * MEGABYTE,
    "brackets": lambda: TEXT + b"Content-Type: text/html\n\n" + b"<a" * 4 * MEGABYTE,
    "style without end": lambda: TEXT + b"Content-Type: text/html\n\n" + b"<style>" * MEGABYTE,
    "a header without end": lambda: b"Subject: x\n" * MEGABYTE,
    "a field without end": lambda: b"Subject:" + b" x\n" * 4 * MEGABYTE,
    "a folded field": lambda: b"Subject: a\n" + b" \t\n" * 20_000 + b"\n\n",
    "encoded words": lambda: b"Subject: " + b"=?utf-8?q?=41?= " * 3_000 + b"\n\nx",
    "Exim's field": lambda: b"X-Failed-Recipients: " + b"(" * 60_000 + b"\n\nx",
    "failed recipients": lambda: b"X-Failed-Recipients: " + b"a@b," * 15_000 + b"\n\nx",
    "400 levels": lambda: nested(400),
    "levels of messages": lambda: b"Content-Type: message/rfc822\n\n" * 100_000,
    "100,000 parts": lambda: REPORT + b"\n--b\n" * 100_000,
    "almost boundaries": lambda: REPORT + b"\n--bb" * MEGABYTE,
    "a million fields": lambda: STATUS + b"a:\n" * MEGABYTE,
    "a million fields of one recipient": lambda: STATUS + RECIPIENT + b"a: b\n" * MEGABYTE,
    "a million blocks": lambda: STATUS + b"a: b\n\n" * MEGABYTE,
    "100,000 recipients": lambda: STATUS + (RECIPIENT + b"\n") * 100_000,
    "recipients without empty lines": lambda: STATUS + RECIPIENT * 100_000,
    "long diagnostics": lambda: STATUS
    + (RECIPIENT + b"Diagnostic-Code: smtp; " + b"5.1.1 " * 4_000 + b"\n\n") * 400,
    "recipients with many fields": lambda: STATUS + (RECIPIENT + b"a: b\n" * 400 + b"\n") * 5_000,
    "a status of dots": lambda: STATUS + b"Status: " + b"5." * MEGABYTE,
    "a date": lambda: STATUS + RECIPIENT + b"Last-Attempt-Date: " + b"(" * MEGABYTE,
    "base64 of nothing": lambda: REPORT
    + b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n"
    + b"=\n" * 4 * MEGABYTE,
    "quoted-printable": lambda: REPORT
    + b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: quoted-printable\n\n"
    + b"=0A" * 4 * MEGABYTE,
    "parameters": lambda: b"Content-Type: multipart/report; " + b"boundary*0=a; " * 70 + b"\n\nx",
    "parameters of 65 kB": lambda: b"Content-Type: multipart/report" + b";a=b" * 16_000 + b"\n\nx",
    "carriage returns": lambda: STATUS + RECIPIENT + b"\r" * 4 * MEGABYTE,
    "references": lambda: STATUS
    + b"Original-Envelope-Id: " + b"a" * MEGABYTE + b"-" + b"a" * 16 + b"\n" + RECIPIENT,
    "a feedback report of recipients": lambda: REPORT
    + b"Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n"
    + b"Original-Rcpt-To: a@b.example\n" * 100_000,
    "words of every language": lambda: TEXT
    + "\nContent: адрес".encode() + "адрес Empfänger boîte 地址 ".encode() * 40_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_kept_is_harmless(name: str) -> None:
    check(HOSTILE[name]()[:100_000])


def resident(name: str) -> int:
    """`VmRSS`, the memory that this process has, or `VmHWM`, the most of it, in octets."""
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024


@pytest.mark.rest  # ten seconds
@pytest.mark.parametrize("name", HOSTILE)
def test_memory_stays_bounded(name: str) -> None:
    data = HOSTILE[name]()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): the most is what it has now
    before = resident("VmRSS")
    check(data)
    assert resident("VmHWM") - before < MOST_MEMORY


def test_too_many_parts_and_levels_are_unreadable() -> None:
    for name in ("400 levels", "100,000 parts", "almost boundaries", "a header without end"):
        with pytest.raises(Unreadable):
            read(HOSTILE[name]())


def test_a_message_within_a_message_is_not_opened() -> None:
    assert read(HOSTILE["levels of messages"]()) == Report("unknown")


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from texts(each)
    elif isinstance(value, Report | Failed):
        yield from texts(tuple(vars(value).values()))


def check(data: bytes) -> Report | None:
    """What holds for every message: it is read or refused, and what is kept of it is harmless."""
    try:
        report = read(data)
    except Unreadable:
        return None
    assert len(report.failures) <= Limits().recipients
    assert len(report.recipients) <= 50
    assert len(report.references) <= 20
    assert not report.failures or report.kind in ("dsn", "heuristic")
    assert not report.recipients or report.kind in ("complaint", "unsubscribe", "unknown")
    for text in texts(report):
        assert len(text) <= 2_000
        assert not re.search(r"[\0-\x1f\x7f\ud800-\udfff]", text)
    for failed in report.failures:
        assert failed.status is None or re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", failed.status)
        assert failed.smtp_code is None or 400 <= failed.smtp_code <= 599
        assert len(failed.recipient) <= 320
        assert failed.finding.category
    return report


def damaged(data: bytes, other: bytes, dice: random.Random) -> bytes:
    """With a few pieces lost, doubled, moved, changed or taken from another message."""
    for _ in range(dice.randint(1, 8)):
        start = dice.randint(0, len(data))
        end = min(len(data), start + dice.choice((1, 2, 10, 100, 1_000)))
        piece = data[start:end]
        from_other = dice.randint(0, len(other))
        instead = dice.choice(
            (
                b"", piece * 2, piece[::-1], piece.upper(), dice.randbytes(len(piece)),
                b"\n", b"\r\n\r\n", b"\0", b"\xff", b"=", b"<", b"--", b";", b":",
                other[from_other : from_other + 300],
            )
        )  # fmt: skip
        data = data[:start] + instead + data[end:]
    return data


@given(st.sampled_from(CORPUS), st.sampled_from(CORPUS), st.randoms(use_true_random=False))
def test_damaged_reports(data: bytes, other: bytes, dice: random.Random) -> None:
    check(damaged(data, other, dice))


@given(st.sampled_from(CORPUS), st.integers(min_value=0, max_value=5_000))
def test_cut_off_reports(data: bytes, length: int) -> None:
    check(data[:length])


@given(st.binary(max_size=3_000))
def test_random_octets(data: bytes) -> None:
    check(data)


@given(st.binary(max_size=2_000))
def test_random_octets_as_a_status(data: bytes) -> None:
    report = check(STATUS + data)
    assert report is None or report.kind == "dsn"


@given(st.text(max_size=2_000))
def test_random_words(text: str) -> None:
    check(TEXT + b"Content-Type: text/plain; charset=utf-8\n\n" + text.encode("utf-8", "replace"))
