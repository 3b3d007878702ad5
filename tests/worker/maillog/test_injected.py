"""corpora/log_injection.txt in every place where Postfix logs a stranger's text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from corpora import corpus

from worker.maillog.parse import parse, resolve
from worker.maillog.records import Active, Client, Delivery, Expired, NotKept, Record

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
QID, OTHER = b"4jWnPz0hWRzJ9t9", b"4jWnPz0ky1zJ9tB"
TEXTS = [
    corpus.octets(text.replace("{qid}", OTHER.decode()))
    for kind, _, text in corpus.rows("log_injection")
    if kind in ("any", "rcpt", "end")
]


def read(process: bytes, text: bytes) -> Record | None:
    """As Postfix logs it: ASCII's control characters have become question marks."""
    shown = bytes(63 if octet < 32 or octet == 127 else octet for octet in text)
    return parse(b"Nov 21 09:45:43 relay postfix/" + process + b"[77]: " + shown, NOW, UTC)


@pytest.mark.parametrize("said", TEXTS)
@pytest.mark.parametrize(("status", "code"), [("sent", 250), ("bounced", 550), ("deferred", 451)])
def test_a_remote_reply_decides_nothing(said: bytes, status: str, code: int) -> None:
    words = b"%d 2.0.0 %s" % (code, said)
    if status != "sent":
        words = b"host mx[192.0.2.9] said: " + words + b" (in reply to RCPT TO command)"
    found = read(
        b"smtp",
        QID + b": to=<x@y.test>, relay=mx[192.0.2.9]:25, delay=1, delays=1/0/0/0, dsn=2.0.0,"
        b" status=%s (%s)" % (status.encode(), words),
    )
    assert isinstance(found, Delivery)
    sure = resolve(found, {"x@y.test", "defer-victim@example.net"})
    assert sure is not None
    assert (sure.queue_id, sure.address, sure.status) == (QID.decode(), "x@y.test", status)
    assert (sure.smtp_code, sure.remote_ip, sure.dsn) == (code, "192.0.2.9", "2.0.0")
    assert sure.reply.isprintable()


@pytest.mark.parametrize("text", TEXTS)
def test_a_senders_text_decides_nothing(text: bytes) -> None:
    """Where a client's own words stand in a line: Message-ID, envelope, user name, warnings."""
    assert read(b"cleanup", QID + b": message-id=<" + text + b">") is None
    assert (
        read(b"smtpd", b"NOQUEUE: reject: RCPT from a[192.0.2.1]: 501 5.1.3 <" + text + b">")
        is None
    )
    assert (
        read(b"smtpd", b"warning: a[192.0.2.1]: SASL PLAIN failed: no, sasl_username=" + text)
        is None
    )
    assert read(b"smtpd", b"warning: non-SMTP command from a[192.0.2.1]: " + text) is None
    assert (
        read(b"smtpd", QID + b": reject: RCPT from a[192.0.2.1]: 501 5.1.3 <" + text + b">") is None
    )
    active = read(b"qmgr", QID + b": from=<" + text + b">, size=5, nrcpt=2 (queue active)")
    assert isinstance(active, Active)
    assert (active.queue_id, active.size, active.recipients) == (QID.decode(), 5, 2)
    expired = read(b"qmgr", QID + b": from=<" + text + b">, status=expired, returned to sender")
    assert isinstance(expired, Expired) and expired.queue_id == QID.decode()
    client = read(
        b"smtpd", QID + b": client=a[192.0.2.1], sasl_method=PLAIN, sasl_username=" + text
    )
    assert isinstance(client, Client) and client.queue_id == QID.decode()
    refused = read(b"cleanup", QID + b": milter-reject: END-OF-MESSAGE from a[192.0.2.1]: " + text)
    assert isinstance(refused, NotKept) and refused.queue_id == QID.decode()
