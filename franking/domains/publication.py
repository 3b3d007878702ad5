"""Tells the server of the relay's own zone what the zone shall say (RFC 2136, TSIG: RFC 8945).

What a row shall be and what the server was told are compared; only differences are sent.  A batch
is one UPDATE message: all of it is done, or nothing.  If the server refuses one, its rows are sent
one by one, so that one bad name does not keep the others out.  Whoever has no such server exports
the zone (`text`), loads it, and says so (`told`).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
import dns.zone
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from franking.db import Database
from franking.domains import relayzone
from franking.domains.config import Dkim
from franking.domains.models import ZoneEntry
from franking.domains.records import quoted
from franking.nodes import duties
from franking.reasons import Invalid, Taken

TURN = "dkim.publish"  # one node at a time: two could tell an old and a new value in either order
LEASE = timedelta(minutes=5)
BATCH = 40  # rows: 20 kB of RSA keys; an UPDATE message has 64 kB at most
SMALL = 1232  # octets that UDP takes everywhere; what is longer goes by TCP at once
TIMEOUT = 5.0  # seconds


@dataclass
class Published:
    """How many rows the server took, and what it said to the others by name."""

    told: int = 0
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    name: str
    value: str | None


class UpdateError(Exception):
    """The server did not take an update.  `whole`: nor will it take any other at present."""

    def __init__(self, sentence: str, *, whole: bool) -> None:
        super().__init__(sentence)
        self.whole = whole


def publish(
    database: Database, own: Dkim, now: datetime, *, node: str, everything: bool = False
) -> Published:
    """Tell the server what it does not know, or everything again, and write down what it took.

    Raises Invalid without a server, Taken while another node is telling it.
    """
    if not (own.zone and own.update_server):
        raise Invalid("there is no server to tell: set dkim.zone and dkim.update_server")
    with database.session() as session:
        if not _rows(session, everything=everything):
            return Published()
    with database.transaction() as session:
        if not duties.take(session, TURN, node, lease=LEASE, now=now, period=LEASE):
            raise Taken("another node is telling the zone's server just now")
    done = Published()
    try:
        with database.session() as session:  # as they are since nobody else tells the server
            rows = _rows(session, everything=everything)
        for start in range(0, len(rows), BATCH):
            if not _batch(database, own, now, rows[start : start + BATCH], done):
                break
    finally:
        with database.transaction() as session:
            duties.finish(session, TURN, node, due_at=now)
    return done


def text(session: Session, own: Dkim) -> str:
    """The relay's zone as a part of a master file (RFC 1035 §5), to be included: no SOA, no NS."""
    query = select(ZoneEntry.name, ZoneEntry.value).where(ZoneEntry.value.is_not(None))
    lines = [f"$ORIGIN {own.zone}.", f"$TTL {own.zone_ttl}"]
    for name, value in session.execute(query.order_by(ZoneEntry.name)):
        if value is not None and relayzone.inside(name, own.zone):
            relative = name.removesuffix(f".{own.zone}") if name != own.zone else "@"
            lines.append(f"{relative} IN TXT {quoted(value)}")
    return "\n".join(lines) + "\n"


def told(session: Session, own: Dkim, now: datetime, loaded: str | None = None) -> int:
    """The operator has loaded the zone: `loaded` is the file, else all is there as of now.

    Returns how many rows that has changed.  Raises Invalid for what is no master file.
    """
    zone = None if loaded is None else _parsed(loaded, own)
    count = 0
    for row in _rows(session):
        has = row.value if zone is None else zone.get(row.name)
        if has == row.value:
            _write(session, [row], now)
            count += 1
    return count


def _parsed(loaded: str, own: Dkim) -> dict[str, str]:
    try:
        zone = dns.zone.from_text(loaded, f"{own.zone}.", relativize=False, check_origin=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise Invalid(f"this is no zone file: {error}") from error
    return {
        name.to_text(omit_final_dot=True).lower(): b"".join(texts[0].strings).decode()
        for name, texts in zone.iterate_rdatasets("TXT")
        if len(texts) == 1
    }


def _rows(session: Session, *, everything: bool = False) -> list[_Row]:
    query = select(ZoneEntry.name, ZoneEntry.value).order_by(ZoneEntry.name)
    if not everything:
        query = query.where(ZoneEntry.value.is_distinct_from(ZoneEntry.published))
    return [_Row(*row) for row in session.execute(query)]


def _batch(
    database: Database, own: Dkim, now: datetime, rows: Sequence[_Row], done: Published
) -> bool:
    """Whether it is worth going on."""
    inside = [row for row in rows if relayzone.inside(row.name, own.zone)]
    outside = [row for row in rows if row not in inside]
    gone = [row for row in outside if row.value is None]  # its zone is not ours to tell any more
    foreign = {row.name: f"is not in {own.zone}" for row in outside if row not in gone}
    taken, errors, usable = _send(own, inside)
    with database.transaction() as session:
        _write(session, [*taken, *gone], now)
        for name, error in (foreign | errors).items():
            wrong = update(ZoneEntry).where(ZoneEntry.name == name)
            session.execute(wrong.values(error=error[:200]))
    done.told += len(taken)
    done.errors.update(foreign | errors)
    return usable


def _send(own: Dkim, rows: Sequence[_Row]) -> tuple[list[_Row], dict[str, str], bool]:
    """What was taken, what was said of the rest, and whether more can be sent."""
    if not rows:
        return [], {}, True
    try:
        _update(own, rows)
    except UpdateError as error:
        if error.whole or len(rows) == 1:
            return [], {row.name: str(error) for row in rows}, not error.whole
    else:
        return list(rows), {}, True
    taken: list[_Row] = []
    errors: dict[str, str] = {}
    for row in rows:
        one, said, usable = _send(own, [row])
        taken += one
        errors |= said
        if not usable:
            return taken, errors, False
    return taken, errors, True


def _update(own: Dkim, rows: Iterable[_Row]) -> None:
    """One UPDATE message; raises UpdateError."""
    message = dns.update.UpdateMessage(f"{own.zone}.")
    if own.tsig_name:
        secret = own.tsig_secret.get_secret_value()
        message.use_tsig(
            dns.tsigkeyring.from_text({own.tsig_name: secret}),
            algorithm=dns.name.from_text(own.tsig_algorithm),
        )
    for row in rows:
        name = dns.name.from_text(row.name)
        message.delete(name, "TXT")
        if row.value is not None:
            message.add(name, own.zone_ttl, "TXT", quoted(row.value))
    try:
        answer = _ask(own, message)
    except (OSError, dns.exception.DNSException) as error:
        raise UpdateError(f"{own.update_server}: {_said(error)}", whole=True) from error
    rcode = answer.rcode()
    if rcode != dns.rcode.NOERROR:
        refused = rcode in (dns.rcode.REFUSED, dns.rcode.NOTAUTH, dns.rcode.NOTIMP)
        sentence = f"{own.update_server} said {dns.rcode.to_text(rcode)}"
        raise UpdateError(sentence, whole=refused)


def _ask(own: Dkim, message: dns.update.UpdateMessage) -> dns.message.Message:
    host, _, port = own.update_server.partition("@")
    address = str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    where = int(port or 53)
    if len(message.to_wire()) <= SMALL:
        try:
            answer, _by_tcp = dns.query.udp_with_fallback(message, address, TIMEOUT, where)
        except dns.exception.Timeout:
            pass
        else:
            return answer
    return dns.query.tcp(message, address, TIMEOUT, where)


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _write(session: Session, taken: Sequence[_Row], now: datetime) -> None:
    """What the server was told; what the row shall be may be something else by now."""
    for row in taken:
        entry = update(ZoneEntry).where(ZoneEntry.name == row.name)
        news = entry.where(ZoneEntry.published.is_distinct_from(row.value))
        session.execute(news.values(published=row.value, published_at=now))
        session.execute(entry.values(error=None))
        gone = (ZoneEntry.value.is_(None), ZoneEntry.published.is_(None))
        session.execute(delete(ZoneEntry).where(ZoneEntry.name == row.name, *gone))
