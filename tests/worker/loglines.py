"""Lines as a busy relay logs them: any number of messages, interleaved, a known end for each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
OVERLAP = 20  # messages in the queue at the same time


def queue_id(number: int) -> str:
    digits = ""
    for _ in range(8):
        number, digit = divmod(number, len(ALPHABET) - 1)
        digits = ALPHABET[digit] + digits
    return f"4j{digits}zJ9t9"


def ending(number: int) -> str:
    """Every tenth is deferred once, every twentieth bounces."""
    return "bounced" if number % 20 == 7 else "delivered"


def message(number: int) -> list[str]:
    """Its lines; the first ones come before Postfix has committed it."""
    qid = queue_id(number)
    to = f"{qid}: to=<user{number}@dest.test>, relay=mx.dest.test[192.0.2.1]:25, delay=0.1,"
    sent = f"smtp: {to} delays=0.01/0/0.05/0.04, dsn=2.0.0, status=sent (250 2.0.0 Ok: stored)"
    bounced = (
        f"smtp: {to} delays=0.01/0/0/0, dsn=5.1.1, status=bounced (host mx.dest.test[192.0.2.1]"
        " said: 550 5.1.1 no such user (in reply to RCPT TO command))"
    )
    active = f"qmgr: {qid}: from=<news@shop.test>, size=4310, nrcpt=1 (queue active)"
    deferred = (
        f"smtp: {to.replace('0.1', '0.05')} delays=0.01/0/0/0, dsn=4.7.1, status=deferred (host"
        " mx.dest.test[192.0.2.1] said: 451 4.7.1 later (in reply to RCPT TO command))"
    )
    return [
        "submission/smtpd: connect from client.test[192.0.2.7]",
        f"submission/smtpd: {qid}: client=client.test[192.0.2.7], sasl_method=PLAIN,"
        " sasl_username=frank_f023a1b2c3",
        f"cleanup: {qid}: message-id=<{number}@shop.test>",
        active,
        *([deferred, active] if number % 10 == 3 else []),
        bounced if ending(number) == "bounced" else sent,
        f"qmgr: {qid}: removed",
        "submission/smtpd: disconnect from client.test[192.0.2.7] ehlo=2 starttls=1 auth=1 mail=1"
        " rcpt=1 data=1 quit=1 commands=8",
    ]


def recorded(count: int, at: datetime | None = None) -> Iterator[str]:
    """All lines of `count` messages, with line feeds."""
    stamp = (at or datetime.now(UTC)).astimezone().strftime("%b %e %H:%M:%S")
    waiting: list[list[str]] = []
    for number in range(count + OVERLAP):
        if number < count:
            waiting.append(message(number))
        for lines in waiting:
            process, _, body = lines.pop(0).partition(": ")
            yield f"{stamp} relay postfix/{process}[{1000 + number % 7}]: {body}\n"
        waiting = [lines for lines in waiting if lines]
    for lines in waiting:
        for process, _, body in (line.partition(": ") for line in lines):
            yield f"{stamp} relay postfix/{process}[1000]: {body}\n"
