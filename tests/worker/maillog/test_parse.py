from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.maillog.parse import parse, resolve
from worker.maillog.records import (
    Client,
    Delivery,
    Expired,
    Notice,
    NotKept,
    Operator,
    Record,
    Requeued,
)

DATA = Path(__file__).parents[2] / "data/maillog"
LOGS = sorted(DATA.glob("*.log"))
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
QID = "4jWnPz0hWRzJ9t9"
QID2 = "4jWnPz0ky1zJ9tB"


def read(text: str, process: str = "smtp") -> Record | None:
    line = f"Nov 21 09:45:43 relay postfix/{process}[77]: {text}"
    return parse(line.encode("utf-8", "surrogateescape"), NOW, UTC)


def delivery(text: str, process: str = "smtp") -> Delivery:
    record = read(f"{QID}: {text}", process)
    assert isinstance(record, Delivery)
    return record


def lines(log: Path) -> list[bytes]:
    return log.read_bytes().splitlines()


@pytest.mark.parametrize("log", LOGS, ids=lambda p: p.stem)
def test_captured_lines(log: Path) -> None:
    expected = json.loads(log.with_suffix(".json").read_text())
    found = [parse(line, NOW, UTC) for line in lines(log)]
    assert len(found) == len(expected)
    for line, record, wanted in zip(lines(log), found, expected, strict=True):
        assert as_data(record) == wanted, line


def as_data(record: Record | None) -> dict[str, object] | None:
    if record is None:
        return None
    fields = record._asdict() | {"at": record.at.isoformat()}
    fields.pop("rest", None)
    return {"record": type(record).__name__, **fields}


@pytest.mark.parametrize("log", LOGS, ids=lambda p: p.stem)
def test_no_delivery_and_no_commit_is_overlooked(log: Path) -> None:
    """Counted another way: by words that only these lines have in these captures."""
    names = [type(parse(line, NOW, UTC)).__name__ for line in lines(log)]
    text = log.read_text()
    assert names.count("Delivery") == len(re.findall(r"^.*\]: \w+: to=<", text, re.M))
    assert names.count("Active") == text.count("(queue active)")
    assert names.count("Removed") == len(re.findall(r"qmgr\[\d+\]: \w+: removed$", text, re.M))
    expired = re.findall(r">, status=\S+, returned to sender$", text, re.M)
    assert names.count("Expired") == len(expired)


def test_injected_recipients_and_replies() -> None:
    found = [parse(line, NOW, UTC) for line in lines(DATA / "injected.log")]
    sent = [
        (record.address, record.status, record.relay.partition(":")[0])
        for record in found
        if isinstance(record, Delivery)
    ]
    forged = '"x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok) to=<"'
    assert sorted(sent) == sorted([
        (f"{forged}@ok.test", "sent", "localhost[127.0.0.1]"),
        (f"{forged}@refused.test", "deferred", "none"),
        ("forged@ok.test", "deferred", "localhost[127.0.0.1]"),
        ("plain.äöü☃@ok.test", "sent", "localhost[127.0.0.1]"),
        *[("plain@ok.test", "sent", "localhost[127.0.0.1]")] * 3,
    ])  # fmt: skip
    assert not [record for record in found if isinstance(record, NotKept | Expired)]


# Shapes that 3.7.11 does not have (3.10 and 3.11), and rare ones from the sources.
@pytest.mark.parametrize(
    ("process", "text", "expected"),
    [
        ("cleanup", "removed (canceled)", NotKept),
        ("cleanup", "removed (discarded)", NotKept),
        (
            "cleanup",
            "discard: header Subject: x from a[192.0.2.1]; from=<a@b> proto=ESMTP",
            NotKept,
        ),
        ("cleanup", "milter-discard: END-OF-MESSAGE from a[192.0.2.1]: milter triggers", NotKept),
        ("cleanup", "milter-hold: END-OF-MESSAGE from a[192.0.2.1]: milter triggers", type(None)),
        ("cleanup", "milter-reject: RCPT from a[192.0.2.1]: 5.7.1 no", type(None)),
        ("cleanup", "hold: header Subject: x from a[192.0.2.1]; from=<a@b>", type(None)),
        ("cleanup", "warning: header Subject: reject: header from a[b]", type(None)),
        ("smtpd", "reject: RCPT from a[192.0.2.1]: 554 5.7.1 no", type(None)),
        ("smtpd", "milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 no", type(None)),
        ("smtpd", "client=unknown[IPv6:2001:db8::1]:4711", Client),
        ("qmgr", "from=<a@b.c>, status=force-expired, returned to sender", Expired),
        ("qmgr", "skipped, still being delivered", type(None)),
        ("bounce", f"sender non-delivery notification: {QID2}", Notice),
        ("bounce", f"postmaster delay notification: {QID2}", Notice),
        ("bounce", f"sender delivery status notification: {QID2}", Notice),
        ("postsuper", "placed on hold", Operator),
        ("postsuper", "removed", Operator),
        ("pickup", f"uid=102 from=<a@b.c> orig_id={QID2}", Requeued),
        ("pickup", "uid=0 from=<root>", type(None)),
        ("local", "removed", type(None)),
        ("smtp", "host a[192.0.2.1] said: 250 to=<x@y>, relay=", type(None)),
    ],
)
def test_other_shapes(process: str, text: str, expected: type) -> None:
    assert type(read(f"{QID}: {text}", process)) is expected


@pytest.mark.parametrize(
    ("process", "text"),
    [
        ("smtpd", "connect from localhost[127.0.0.1]"),
        ("smtpd", "NOQUEUE: reject: RCPT from a[192.0.2.1]: 554 5.7.1 <x@y>: no; from=<> to=<x@y>"),
        ("smtpd", "NOQUEUE: milter-reject: RCPT from a[192.0.2.1]: 554 5.7.1 no; from=<> to=<x@y>"),
        ("smtpd", f"lost connection after DATA (81 bytes) from {QID}[192.0.2.1]"),
        ("smtpd", "warning: a[192.0.2.1]: SASL PLAIN authentication failed: no, sasl_username=x"),
        ("smtpd", "fatal: no SASL authentication mechanisms"),
        ("cleanup", f"warning: {QID}: queue file size limit exceeded"),
        ("qmgr", "AB12CD34: removed"),  # a short queue ID
        ("smtp", f"Untrusted TLS connection established to {QID}: to=<x@y>"),
        ("master", "warning: process /usr/lib/postfix/sbin/smtpd pid 1 exit status 1"),
        ("franking", "probe not-hexadecimal-0000"),
    ],
)
def test_lines_that_mean_nothing(process: str, text: str) -> None:
    assert read(text, process) is None


def test_the_process_is_the_last_part_of_the_tag() -> None:
    body = f"{QID}: removed".encode()
    for tag in (b"postfix/qmgr", b"postfix-a/qmgr", b"postfix/submission/qmgr", b"qmgr"):
        assert parse(b"Nov 21 09:45:43 relay " + tag + b"[7]: " + body, NOW, UTC) is not None


def test_tls_of_postfix_3_11() -> None:
    record = delivery(
        "to=<x@y.test>, relay=mx.y.test[192.0.2.1]:25, conn_use=3, delay=0.1, delays=0/0/0.1/0,"
        " tls=dane/requiretls, dsn=2.0.0, status=sent (250 ok)"
    )
    assert (record.tls, record.connection_use, record.status) == ("dane/requiretls", 3, "sent")


@pytest.mark.parametrize(
    ("relay", "said", "expected"),
    [
        ("mx[192.0.2.1]:25", "sent (250 2.0.0 Ok)", (250, "mx", "192.0.2.1", "250 2.0.0 Ok")),
        ("mx[2001:db8::1]:25", "sent (250 ok)", (250, "mx", "2001:db8::1", "250 ok")),
        ("none", "deferred (connect to mx[192.0.2.1]:25: Connection timed out)",
         (None, "mx", "192.0.2.1", "connect to mx[192.0.2.1]:25: Connection timed out")),
        ("none", "deferred (delivery temporarily suspended: host mx[192.0.2.1] refused to talk to"
         " me: 421 no)", (421, "mx", "192.0.2.1", "421 no")),
        ("mx[192.0.2.1]:25", "bounced (host mx[192.0.2.1] said: 550 no (in reply to end of DATA"
         " command))", (550, "mx", "192.0.2.1", "550 no")),
        ("mx[192.0.2.1]:25", "bounced (host mx[192.0.2.1] said: 550 cut after 2000 charac",
         (550, "mx", "192.0.2.1", "550 cut after 2000 charac")),
        ("mx[192.0.2.1]:25", "deferred (host mx[192.0.2.1] said: 999 what",
         (None, "mx", "192.0.2.1", "999 what")),
        ("virtual", "sent (delivered to mailbox)", (None, None, None, "delivered to mailbox")),
        ("none", "sent (250 is a nice number)", (None, None, None, "250 is a nice number")),
        ("none", "deferred (bounce failed)", (None, None, None, "bounce failed")),
        ("relay.test[private/lmtp]", "sent (250 ok)", (250, "relay.test", None, "250 ok")),
    ],
)  # fmt: skip
def test_what_the_remote_said(relay: str, said: str, expected: tuple[object, ...]) -> None:
    record = delivery(
        f"to=<x@y.test>, relay={relay}, delay=1, delays=1/0/0/0, dsn=2.0.0, status={said}"
    )
    assert (record.smtp_code, record.remote_host, record.remote_ip, record.reply) == expected


def test_resolve_takes_the_recipients_word_for_it() -> None:
    tail = "relay=none, delay=1, delays=1/0/0/0, dsn=4.0.0, status=deferred (no)"
    found = resolve(delivery(f"to=<Plain@Y.test>, {tail}"), {"plain@y.test", "a@y.test"})
    assert found is not None
    assert found.address == "plain@y.test"
    assert resolve(delivery(f"to=<b@y.test>, {tail}"), {"plain@y.test"}) is None
    alias = resolve(delivery(f"to=<real@y.test>, orig_to=<alias@y.test>, {tail}"), {"alias@y.test"})
    assert alias is not None
    assert alias.address == "alias@y.test"


def test_resolve_cuts_by_exact_prefix_where_syntax_would_err() -> None:
    odd = "a>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (x@y.test"
    tail = "relay=none, delay=1, delays=1/0/0/0, dsn=4.0.0, status=deferred (no)"
    line = delivery(f"to=<{odd}>, {tail}")
    assert line.status == "sent"
    found = resolve(line, {odd, "other@y.test"})
    assert found is not None
    assert (found.address, found.status, found.reply) == (odd, "deferred", "no")


@given(st.binary(max_size=300))
def test_no_bytes_raise(noise: bytes) -> None:
    parse(noise, NOW, UTC)
    parse(f"Nov 21 09:45:43 relay postfix/smtp[1]: {QID}: to=<".encode() + noise, NOW, UTC)
    for process in ("smtpd", "cleanup", "qmgr", "bounce", "postsuper", "pickup", "franking"):
        head = f"Nov 21 09:45:43 relay postfix/{process}[1]: ".encode()
        parse(head + noise, NOW, UTC)
        parse(head + f"{QID}: ".encode() + noise, NOW, UTC)


HOSTILE = st.lists(
    st.sampled_from(
        [">, relay=", "relay=evil[192.0.2.9]:25, ", "delay=0, delays=0/0/0/0, ", "dsn=2.0.0, ",
         "status=sent (", ")", "(", "to=<", "orig_to=<", ">", ", ", f"{QID2}: ", '"', "\\", "☃",
         "host evil[192.0.2.9] said: 250 ", " (in reply to RCPT TO command)", "\udcff"]
    ) | st.text(st.characters(exclude_characters="\n\0", codec="utf-8"), max_size=10),
    max_size=12,
).map("".join)  # fmt: skip


@given(HOSTILE)
def test_a_reply_never_reaches_what_counts(said: str) -> None:
    record = delivery(
        "to=<x@y.test>, relay=mx.y.test[192.0.2.1]:25, delay=1, delays=1/0/0/0, dsn=4.7.1,"
        f" status=deferred (host mx.y.test[192.0.2.1] said: 451 {said}"
        " (in reply to RCPT TO command))"
    )
    assert record.queue_id == QID
    assert (record.address, record.original, record.status) == ("x@y.test", None, "deferred")
    assert (record.relay, record.dsn) == ("mx.y.test[192.0.2.1]:25", "4.7.1")
    assert (record.smtp_code, record.remote_ip) == (451, "192.0.2.1")


@given(HOSTILE.filter(lambda text: ">" not in text and '"' not in text))
def test_an_address_never_reaches_what_follows(local: str) -> None:
    record = delivery(
        f"to=<{local}@y.test>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (no)"
    )
    assert (record.relay, record.status) == ("none", "deferred")
    assert record.address.endswith("@y.test")
