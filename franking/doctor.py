"""Is this node able to accept, sign, charge and settle mail?  One finding per question.

Each check is a function that returns a Finding; none changes anything.  `franking doctor` prints
them, the provisioning play ends with them.  What the Internet thinks of this node is a group of
its own (`franking.deliverability`): the worker asks every hour, and the panel shows the same.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from franking import migrations
from franking.db import Database, utcnow
from franking.deliverability import results
from franking.deliverability.relay import examine as examine_deliverability
from franking.dns.answers import Lookup
from franking.dns.lookups import Resolvers
from franking.domains import lost
from franking.mail import reading
from franking.mail.models import LogPosition
from franking.money import verification
from franking.money.models import Reservation
from franking.nodes.models import Node
from franking.settings import Settings, SettingsError

OK, WARN, FAIL = "ok", "warn", "fail"
MOST_INBOUND = 1000  # mails that may wait to be read
AUTH_HELLO = b"VERSION\t1\t0\nCPID\t1\n"


@dataclass(frozen=True)
class Finding:
    """`status` is ok, warn or fail; `fix` is the sentence that helps, empty when ok."""

    name: str
    status: str
    detail: str
    fix: str = ""


def examine(settings: Settings) -> list[Finding]:
    """All checks; a check that breaks is itself a failed finding."""
    database = Database(settings.database_url)
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("master key", lambda: master_key(settings)),
        ("database", lambda: schema(database)),
        ("ledger", lambda: books(database)),
        ("reservations", lambda: open_reservations(database, settings)),
        ("policyd auth", lambda: auth_socket(settings)),
        ("policyd policy", lambda: policy_socket(settings)),
        ("milterd", lambda: milter_socket(settings)),
        ("postfix", lambda: postfix(settings)),
        ("maillog worker", lambda: follower(database, settings)),
        ("housekeeping", lambda: housekeeping(database, settings)),
    ]
    if settings.dmarc.reports or settings.bounces.domain:
        checks.append(("inbound mail", lambda: inbound_mail(settings)))
    return [_guarded(name, check) for name, check in checks]


def deliverability(
    settings: Settings, *, again: bool = False, lookup: Lookup | None = None
) -> results.Report:
    """What the worker has found of this node; asked now if `again`, or if that is older than two
    hours.  What other nodes have seen of it is theirs to ask."""
    now, known, peers, zone = utcnow(), None, [], lost.Known()
    database = Database(settings.database_url)
    try:
        with database.session() as session:
            known = results.of_node(session, settings.node)
            peers = results.peers(session, settings.node, now)
            zone = lost.known(session, settings.dkim.zone, now)
    except SQLAlchemyError:
        pass  # the group "database" says so
    finally:
        database.close()
    if known is not None and not again and known.checked_at > now - results.FRESH:
        return known
    found = examine_deliverability(settings, lookup or Resolvers(settings.dns), now, peers, zone)
    return results.asked_now(settings.node, found, now, known)


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        detail = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        return Finding(name, FAIL, detail, "see the detail; the check itself could not run")


def master_key(settings: Settings) -> Finding:
    try:
        settings.master_key_bytes()
    except SettingsError as error:
        return Finding("master key", FAIL, str(error), "set master_key in the settings")
    return Finding("master key", OK, "32 bytes")


def schema(database: Database) -> Finding:
    have, want = migrations.current(database.engine), migrations.head()
    if have != want:
        return Finding("database", FAIL, f"schema {have}, code needs {want}", "run: franking init")
    if database.engine.dialect.name == "postgresql":
        with database.session() as session:
            encoding = session.scalar(text("SHOW server_encoding"))
            restored = reading.is_restored(session)
        if encoding != "UTF8":
            return Finding("database", FAIL, f"encoding {encoding}", "create it with UTF8")
        if restored:
            what = "was restored from a dump: no reader gets new events"
            return Finding("database", FAIL, what, "run: franking database restored")
    return Finding("database", OK, f"{database.engine.dialect.name}, schema {have}")


def books(database: Database) -> Finding:
    with database.snapshot() as session:
        problems = verification.verify(session)
    if problems:
        return Finding("ledger", FAIL, problems[0], "stop sending and find out why; nothing else")
    return Finding("ledger", OK, "every balance matches its entries, all entries sum to 0")


def open_reservations(database: Database, settings: Settings) -> Finding:
    overdue = utcnow() - timedelta(seconds=3 * settings.maillog.reconcile_after)
    with database.session() as session:
        unknown = session.scalar(select(func.count()).where(Reservation.state == "unknown")) or 0
        late = session.scalar(
            select(func.count()).where(
                Reservation.state == "reserved",
                Reservation.node == settings.node,
                Reservation.reserved_at < overdue,
            )
        )
    detail = f"{late or 0} open too long, {unknown} unknown"
    if late:
        return Finding("reservations", FAIL, detail, "is the maillog worker running?")
    if unknown:
        return Finding("reservations", WARN, detail, "settle them by hand: money is held")
    return Finding("reservations", OK, detail)


def _ask(settings: Settings, name: str, question: bytes, until: bytes) -> bytes | None:
    """Talk to one of our sockets as Postfix would; None when nobody is there."""
    path = settings.maillog.queue_directory / "franking" / name
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        answer = b""
        try:
            client.connect(str(path))
            client.sendall(question)
            while until and until not in answer:
                piece = client.recv(4096)
                if not piece:
                    break
                answer += piece
        except OSError:
            return None
    return answer


def _dead(name: str, daemon: str) -> Finding:
    return Finding(name, FAIL, "nobody answers on its socket", f"start {daemon}; see its log")


def auth_socket(settings: Settings) -> Finding:
    answer = _ask(settings, "auth", AUTH_HELLO, b"DONE\n")
    if answer is None or b"MECH\tPLAIN" not in answer:
        return _dead("policyd auth", "policyd")
    return Finding("policyd auth", OK, "offers PLAIN")


def policy_socket(settings: Settings) -> Finding:
    request = b"request=smtpd_access_policy\nprotocol_state=CONNECT\n\n"
    answer = _ask(settings, "policy", request, b"\n\n")
    if answer is None or not answer.startswith(b"action="):
        return _dead("policyd policy", "policyd")
    return Finding("policyd policy", OK, answer.decode("ascii", "replace").strip())


def milter_socket(settings: Settings) -> Finding:
    if _ask(settings, "milter", b"", b"") is None:
        return _dead("milterd", "milterd")
    return Finding("milterd", OK, "its socket accepts connections")


def postfix(settings: Settings) -> Finding:
    command = ["postfix", "-c", str(settings.maillog.config_directory), "status"]
    done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    if done.returncode:
        return Finding("postfix", FAIL, "not running", "start it; then look at the mail log")
    return Finding("postfix", OK, "running")


def follower(database: Database, settings: Settings) -> Finding:
    """Behind by how many bytes?  A quiet log leaves `read_at` old, so its age means nothing."""
    with database.session() as session:
        position = session.get(LogPosition, settings.node)
    if position is None:
        return Finding("maillog worker", FAIL, "never ran", "start franking-worker maillog")
    file = settings.maillog.path.stat()
    behind = file.st_size - (position.offset if file.st_ino == position.inode else 0)
    if behind > 1 << 20:
        return Finding("maillog worker", WARN, f"{behind} bytes behind", "is it running?")
    return Finding("maillog worker", OK, f"{behind} bytes behind")


def housekeeping(database: Database, settings: Settings) -> Finding:
    """Has this node reported lately, and does it take mail?"""
    with database.session() as session:
        node = session.get(Node, settings.node)
    if node is None or node.reported_at is None:
        return Finding("housekeeping", FAIL, "never ran", "start franking-worker housekeeping")
    age = (utcnow() - node.reported_at).total_seconds()
    if age > 60 + settings.housekeeping.every:
        detail = f"last report {age:.0f} s ago"
        return Finding("housekeeping", FAIL, detail, "is franking-worker housekeeping running?")
    if node.overload is not None:
        return Finding("housekeeping", WARN, f"overload: {node.overload}", "no new mail is taken")
    if node.state == "draining":
        return Finding("housekeeping", WARN, "this node is draining", "franking node resume")
    return Finding("housekeeping", OK, f"{node.queued} messages in the queue")


def inbound_mail(settings: Settings) -> Finding:
    """Can Postfix deliver what comes in, and does somebody read it?  What it cannot deliver it
    returns after days, to senders that may be forged."""
    name, place = "inbound mail", settings.inbound.maildir
    fix = f"create {place} with mode 0700 for the user whose number is site_inbound_uid"
    if not place.is_dir():
        return Finding(name, FAIL, f"there is no directory {place}", fix)
    owner = _delivers_as(settings)
    for part in filter(Path.is_dir, (place, place / "new", place / "tmp")):
        state = part.stat()
        if owner is not None and state.st_uid != owner:
            detail = f"{part} belongs to user {state.st_uid}, and Postfix writes as {owner}"
            return Finding(name, FAIL, detail, f"chown -R {owner} {place}")
        if state.st_mode & 0o300 != 0o300:
            return Finding(name, FAIL, f"its owner may not write to {part}", f"chmod 0700 {part}")
    new = place / "new"
    waiting = sum(1 for _ in new.iterdir()) if new.is_dir() else 0
    detail = f"{waiting:,} waiting to be read"
    if waiting > MOST_INBOUND:
        return Finding(name, WARN, detail, "is franking-worker inbound running?")
    return Finding(name, OK, detail)


def _delivers_as(settings: Settings) -> int | None:
    """The number of the user that virtual(8) writes as; None if Postfix does not say."""
    directory = str(settings.maillog.config_directory)
    command = ["postconf", "-c", directory, "-x", "-h", "virtual_uid_maps"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    said = done.stdout.strip().removeprefix("static:")
    return int(said) if said.isascii() and said.isdecimal() else None
