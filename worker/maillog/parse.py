"""One line of Postfix's log, as bytes, to one record; no I/O, and no line raises.

Lines that mean nothing for money or events are None: connects, refusals in the SMTP dialogue
(whoever refused has recorded it), warnings.  Only long queue IDs are known.

A line holds text of strangers, so everything is anchored at what Postfix alone writes:
* the recipient's address is a quoted string or has no `>`, and ends at the first `>` after it
  (Postfix quotes local parts when it logs them: info_log_address_format = external);
* behind it follows Postfix's own fixed syntax up to `status=word (`; what the remote server said
  is only what follows that bracket, and is never searched for anything that counts;
* the caller confirms the address with the recipients it has stored (`resolve`).
A record is cut at 2000 characters (util/msg_logger.c), so its closing bracket may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime, tzinfo

from worker.maillog import remote
from worker.maillog.records import (
    Active,
    Client,
    Delivery,
    Expired,
    Notice,
    NotKept,
    Operator,
    Probe,
    Record,
    Removed,
    Requeued,
    Secured,
)
from worker.maillog.timestamps import instant

LONGEST = 8192  # bytes; Postfix's own limit is 2000 characters
PROBE = "franking"  # the tag of our own lines, as in `postlog -t postfix/franking`

HEADER = re.compile(
    r"([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) \S{1,255} (?:\S{1,200}/)?([\w-]{1,60})\[(\d{1,10})\]: "
)
# enable_long_queue_ids: seconds and microseconds, `z`, the inode in base 51 (global/mail_queue.h)
QUEUE_ID = r"[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{1,20}"
SUBJECT = re.compile(rf"({QUEUE_ID}): ")

ADDRESS = r'((?:"(?:[^"\\]|\\.)*+")?[^>]*)>'
RECIPIENT = re.compile(rf"{ADDRESS}, (?:orig_to=<{ADDRESS}, )?")
TAIL = re.compile(
    r"relay=([^\s,]+), (?:conn_use=(\d{1,9}), )?delay=([\d.]{1,20}), delays=([\d./]{1,80}), "
    r"(?:tls=([^\s,]*), )?dsn=(\d\.\d{1,3}\.\d{1,3}), status=([\w-]{1,30})(?: \((.*))?",
    re.DOTALL,
)
ACTIVE = re.compile(r"from=<(.*)>, size=(\d{1,15}), nrcpt=(\d{1,9}) \(queue active\)")
EXPIRED = re.compile(r"from=<.*>, status=((?:force-)?expired), returned to sender")
CLIENT = re.compile(
    r"client=[^\s,\[]*\[([^\]\s]{1,60})\](?::\d{1,5})?"
    r"(?:, sasl_method=[^\s,]+)?(?:, sasl_username=([^\s,]{1,255}))?"
)
NOT_KEPT = re.compile(
    r"(?:milter-(?:reject|discard): END-OF-MESSAGE |reject: |discard: |removed \().*", re.DOTALL
)
NOTICE = re.compile(rf"((?:sender|postmaster) [a-z -]{{4,40}} notification)(?:: ({QUEUE_ID}))?")
SUPER = re.compile(r"placed on hold|released from hold|removed|requeued|expired")
REQUEUED = re.compile(rf"uid=\d+ from=<.*> orig_id=({QUEUE_ID})")
SECURED = re.compile(
    r"[A-Z][a-z]+ TLS connection (?:established|reused) to (\S+): (TLSv[\d.]+ with cipher \S+)"
)
OUR_PROBE = re.compile(r"probe ([0-9a-f]{16,64})")


def parse(line: bytes, now: datetime, zone: tzinfo | None = None) -> Record | None:
    """The record of a line without its line feed; `zone` as in `timestamps.instant`."""
    text = line[:LONGEST].decode("utf-8", "replace")
    if not text.isprintable():
        # What Postfix does to ASCII's control characters (util/printable.c), for the rest of them.
        text = "".join(c if c.isprintable() else "?" for c in text)
    header = HEADER.match(text)
    at = instant(header[1], now, zone) if header else None
    if header is None or at is None:
        return None
    process, pid, body = header[2], int(header[3]), text[header.end() :]
    subject = SUBJECT.match(body)
    if subject is None:
        bare = _WITHOUT_ID.get(process)
        return bare(at, pid, body) if bare else None
    queue_id, body = subject[1], body[subject.end() :]
    if body.startswith("to=<"):
        return _delivery(at, queue_id, process, pid, body[4:])
    reader = _WITH_ID.get(process)
    return reader(at, queue_id, body) if reader else None


def resolve(delivery: Delivery, known: Collection[str]) -> Delivery | None:
    """The same with `address` one of the `known` (lower-case) recipients, None when it is none.

    What syntax found is right unless an address holds a bare `>`; so the exact prefix decides.
    """
    for found in (delivery.address, delivery.original):
        if found is not None and found.lower() in known:
            return delivery._replace(address=found.lower())
    for address in sorted(known, key=len, reverse=True):
        if not delivery.rest.lower().startswith(address + ">, "):
            continue
        start = len(address) + 3
        again = _cut(delivery, address, None, TAIL.fullmatch(delivery.rest, start))
        if again is not None:
            return again
    return None


def _delivery(at: datetime, queue_id: str, agent: str, pid: int, rest: str) -> Delivery | None:
    recipient = RECIPIENT.match(rest)
    if recipient is None:
        return None
    blank = Delivery(
        at, queue_id, agent, pid, rest, "", None, "", 1, 0.0, "", None, "", "", "", None, None, None
    )
    tail = TAIL.fullmatch(rest, recipient.end())
    return _cut(blank, recipient[1], recipient[2], tail)


def _cut(
    line: Delivery, address: str, original: str | None, tail: re.Match[str] | None
) -> Delivery | None:
    if tail is None:
        return None
    relay, use, delay, delays, tls, dsn, status, reply = tail.groups()
    reply = (reply or "").removesuffix(")")
    answer = remote.answer(relay, status, reply)
    return line._replace(
        address=address,
        original=original,
        relay=relay,
        connection_use=int(use or 1),
        delay=seconds(delay),
        delays=delays,
        tls=tls,
        dsn=dsn,
        status=status,
        reply=answer.text,
        smtp_code=answer.code,
        remote_host=answer.host,
        remote_ip=answer.ip,
    )


def seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _smtpd(at: datetime, queue_id: str, body: str) -> Record | None:
    found = CLIENT.match(body)
    return Client(at, queue_id, found[1], found[2]) if found else None


def _cleanup(at: datetime, queue_id: str, body: str) -> Record | None:
    return NotKept(at, queue_id, body[:200]) if NOT_KEPT.match(body) else None


def _qmgr(at: datetime, queue_id: str, body: str) -> Record | None:
    if body == "removed":
        return Removed(at, queue_id)
    if found := ACTIVE.fullmatch(body):
        return Active(at, queue_id, found[1], int(found[2]), int(found[3]))
    if found := EXPIRED.fullmatch(body):
        return Expired(at, queue_id, found[1])
    return None


def _bounce(at: datetime, queue_id: str, body: str) -> Record | None:
    found = NOTICE.match(body)
    return Notice(at, queue_id, found[1], found[2]) if found else None


def _postsuper(at: datetime, queue_id: str, body: str) -> Record | None:
    return Operator(at, queue_id, body) if SUPER.fullmatch(body) else None


def _pickup(at: datetime, queue_id: str, body: str) -> Record | None:
    found = REQUEUED.fullmatch(body)
    return Requeued(at, queue_id, found[1]) if found else None


def _secured(at: datetime, pid: int, body: str) -> Record | None:
    found = SECURED.match(body)
    return Secured(at, pid, found[1], found[2]) if found else None


def _probe(at: datetime, _pid: int, body: str) -> Record | None:
    found = OUR_PROBE.fullmatch(body)
    return Probe(at, found[1]) if found else None


_WITH_ID: dict[str, Callable[[datetime, str, str], Record | None]] = {
    "smtpd": _smtpd,
    "cleanup": _cleanup,
    "qmgr": _qmgr,
    "bounce": _bounce,
    "postsuper": _postsuper,
    "pickup": _pickup,
}
_WITHOUT_ID: dict[str, Callable[[datetime, int, str], Record | None]] = {
    "smtp": _secured,
    "lmtp": _secured,
    PROBE: _probe,
}
