"""Our listeners, seen with a client's eyes: from here and from another node.

A node sees its own certificates by itself.  Whether its ports are open to the world only somebody
else can tell: every other node that shares the database (`reach`), or whoever runs `franking
deliverability probe` elsewhere.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from franking.deliverability import certificates
from franking.deliverability.findings import Check, Finding, fail, ok, unknown
from franking.deliverability.visit import Door, NoStarttls, trusting, visit
from franking.listeners import ListenerName
from franking.settings import Settings

REACHABLE = "reachable"
NO_WAY = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}  # our own network's fault


@dataclass(frozen=True)
class Peer:
    """Another node as it has told of itself: its public addresses, its listeners and ports."""

    node: str
    addresses: tuple[str, ...]
    ports: tuple[tuple[ListenerName, int], ...]


def subject_of(listener: ListenerName, port: int) -> str:
    return f"{listener}:{port}"


def own(settings: Settings, now: datetime) -> list[Check]:
    """The certificate of each listener that is on."""
    return [
        Check(certificates.NAME, subject, partial(_own, settings, name, subject, now))
        for name, _ in settings.listeners.enabled()
        for subject in [subject_of(name, settings.smtp.ports[name])]
    ]


def _own(settings: Settings, listener: ListenerName, subject: str, now: datetime) -> Finding:
    own, port = settings.deliverability, settings.smtp.ports[listener]
    door = _door(settings, listener, own.listener_address, port)
    try:
        seen = visit(door, own.timeout, roots=trusting(own.ca_file))
    except NoStarttls as error:
        fix = "give Postfix a certificate (smtpd_tls_chain_files); its log says what is wrong"
        return fail(certificates.NAME, subject, f"offers no STARTTLS: {error}", fix)
    except OSError as error:
        fix = "is Postfix running?  If it listens elsewhere, set deliverability.listener_address"
        return fail(certificates.NAME, subject, f"nobody answers at {door.place}: {error}", fix)
    return certificates.judge(subject, seen, door.name, now)


def _door(settings: Settings, listener: ListenerName, address: str, port: int) -> Door:
    implicit = getattr(settings.listeners, listener).tls == "implicit"
    return Door(address, port, "implicit" if implicit else "starttls", settings.smtp.host)


def reach(settings: Settings, peers: Sequence[Peer]) -> list[Check]:
    """Each listener of each other node, at each of its public addresses."""
    return [
        Check(REACHABLE, subject, partial(_reach, settings, door, subject))
        for peer in peers
        for address in peer.addresses
        for listener, port in peer.ports
        for door in [_door(settings, listener, address, port)]
        for subject in [f"{peer.node} {door.place}"]
    ]


def _reach(settings: Settings, door: Door, subject: str) -> Finding:
    try:
        seen = visit(door, settings.deliverability.timeout)
    except NoStarttls as error:
        fix = "something on the way hides STARTTLS (a firewall's SMTP inspection): turn that off"
        return fail(REACHABLE, subject, f"offers no STARTTLS: {error}", fix)
    except OSError as error:
        if error.errno in NO_WAY:
            return unknown(REACHABLE, subject, f"not tried: {error}", "")
        fix = f"is Postfix running there, and port {door.port} open in every firewall before it?"
        if door.port == 25:
            fix += "  If only 25 fails, the asking node's own way out on port 25 may be blocked"
        return fail(REACHABLE, subject, f"nobody answers: {error}", fix)
    return ok(REACHABLE, subject, f"{seen.version}, {seen.greeting}")
