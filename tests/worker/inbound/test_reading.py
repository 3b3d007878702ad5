"""The corpus (`tests/corpora/bounces`): whom each report is about, and why."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from franking.mail.bounce_classes import CATEGORIES
from tests.corpora import returned
from tests.corpora.returned import Case, Places
from worker.inbound.reading import Failed, Limits, Report, read

CASES = returned.cases()
NAMED = {case.name: case for case in CASES}
PLACES = Places()


def outcomes(report: Report, case: Case) -> list[tuple[str, str, str]]:
    """As in the corpus: for whom, what, why."""
    known = {who.lower(): who for who, _, _ in case.outcomes}

    def whom(failed: Failed) -> str:
        named = (known[each] for each in failed.candidates if each in known)
        return next(named, failed.recipient)

    return sorted(
        (whom(failed), failed.action, failed.finding.category.name) for failed in report.failures
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus(case: Case) -> None:
    report = read(case.message(PLACES))
    assert report.kind == case.kind
    if case.kind in ("dsn", "heuristic"):
        assert outcomes(report, case) == case.outcomes
    if case.kind in ("complaint", "unsubscribe"):
        assert sorted(report.recipients) == sorted(case.complainers)
        assert (PLACES.token in report.references) == case.recorded


def test_the_corpus_is_large_and_of_many_kinds() -> None:
    assert len(CASES) >= 300
    assert len(NAMED) == len(CASES)
    assert len({case.shape for case in CASES}) >= 60
    assert len({case.message(PLACES) for case in CASES}) == len(CASES)
    kinds = Counter(case.kind for case in CASES)
    assert set(kinds) == {
        "dsn", "heuristic", "complaint", "unsubscribe", "automatic", "unknown",
    }  # fmt: skip
    seen = {
        category
        for case in CASES
        if case.kind in ("dsn", "heuristic")
        for _, _, category in case.outcomes
    }
    assert set(CATEGORIES) - seen == {"auto_reply", "sender_rejected"}


def test_line_ends_do_not_matter() -> None:
    for case in CASES:
        data = case.message(PLACES)
        assert read(data.replace(b"\n", b"\r\n")) == read(data), case.name


def test_what_a_report_tells_besides() -> None:
    case = NAMED["servers: powermta: bad mailbox"]
    report = read(case.message(PLACES))
    assert report.reporting_mta == "pmta.versand.example"
    assert report.references == (PLACES.token,)
    assert report.message_id == "<178.6a5f0c21.news@shop.example>"
    [failed] = report.failures
    assert failed.status == "5.1.1"
    assert failed.smtp_code == 550
    assert failed.remote_mta == "mx.empfang.example"
    assert failed.diagnostic == "550 5.1.1 user unknown"


def test_when() -> None:
    case = NAMED["google: gmail: out of storage"]
    [failed] = read(case.message(PLACES)).failures
    assert failed.at is not None
    assert failed.at.isoformat() == "2026-11-14T08:12:33+00:00"


def test_what_is_kept_of_a_stranger_is_bounded_and_clean() -> None:
    """Whatever it says goes into a database, which takes neither NUL nor half a character."""
    long = b"x" * 100_000
    data = (
        b"From: MAILER-DAEMON@x.example\nContent-Type: multipart/report; boundary=b\n\n--b\n"
        b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; " + long + b"\n\n"
        b"Final-Recipient: rfc822; a\0\x1b[2J@b.example\nAction: failed\nStatus: 5.1.1\n"
        b"Remote-MTA: dns; " + long + b"\nDiagnostic-Code: smtp; 550 \xed\xa0\x80\0\x07\xff" + long
    )
    report = read(data)
    [failed] = report.failures
    assert len(failed.diagnostic) <= 2_000
    assert len(failed.remote_mta) <= 255
    assert len(report.reporting_mta) <= 255
    for text in (failed.recipient, failed.diagnostic, failed.remote_mta, report.reporting_mta):
        assert not re.search(r"[\0-\x1f\x7f\ud800-\udfff]", text)


def test_not_more_recipients_than_the_limit() -> None:
    recipients = b"".join(
        b"\nFinal-Recipient: rfc822; r%d@b.example\nAction: failed\nStatus: 5.1.1\n" % number
        for number in range(300)
    )
    data = (
        b"Content-Type: multipart/report; boundary=b\n\n--b\n"
        b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n" + recipients
    )
    report = read(data, Limits(recipients=200))
    assert [each.recipient for each in report.failures][-1] == "r199@b.example"
    assert len(report.failures) == 200
    assert len(read(data).failures) == 300


def test_only_the_beginning_is_looked_at() -> None:
    """A returned message may be of any size."""
    case = NAMED["postfix: bounce: local user unknown"]
    data = case.message(PLACES)
    cut = data.index(b"Hello,")
    long = data[:cut] + b"x" * (8 << 20) + data[cut:]
    assert read(long) == read(data)
