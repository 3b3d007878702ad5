"""What a line of Postfix's log can say, one type per statement.

All instants are aware UTC.  Text is as Postfix logged it, so whatever a client or a remote server
put into it is still hostile.  `POST_COMMIT` are the types that only a committed queue file can
cause: each is proof that Postfix has taken the message (docs: DESIGN §6).
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Client(NamedTuple):
    """smtpd gave a client's message a queue ID; nothing is committed yet."""

    at: datetime
    queue_id: str
    ip: str
    username: str | None


class NotKept(NamedTuple):
    """cleanup threw the message away: nothing was or will be committed."""

    at: datetime
    queue_id: str
    why: str


class Active(NamedTuple):
    """The queue manager took the message in hand; logged again at every retry."""

    at: datetime
    queue_id: str
    sender: str
    size: int
    recipients: int


class Delivery(NamedTuple):
    """One attempt for one recipient.

    `rest` is all that followed `to=<`; `address` and `original` are cut from it by syntax alone,
    see `parse.resolve`.  `delay` is in seconds since arrival, `delays` are its parts: before the
    queue manager, in it, connecting, transmitting.  `reply` is the remote's text.
    """

    at: datetime
    queue_id: str
    agent: str
    pid: int
    rest: str
    address: str
    original: str | None
    relay: str
    connection_use: int
    delay: float
    delays: str
    tls: str | None
    dsn: str
    status: str
    reply: str
    smtp_code: int | None
    remote_host: str | None
    remote_ip: str | None


class Expired(NamedTuple):
    """The queue manager gave up on all recipients that have no end yet; it does not name them."""

    at: datetime
    queue_id: str
    status: str


class Removed(NamedTuple):
    """The queue manager removed the file: every recipient has had its end."""

    at: datetime
    queue_id: str


class Notice(NamedTuple):
    """bounce(8) sent a notification about the message, itself a message with an ID."""

    at: datetime
    queue_id: str
    kind: str
    notice_id: str | None


class Operator(NamedTuple):
    """postsuper(1) did something to the queue file."""

    at: datetime
    queue_id: str
    action: str


class Requeued(NamedTuple):
    """`postsuper -r`: the message goes on under a new queue ID."""

    at: datetime
    queue_id: str
    original: str


class Secured(NamedTuple):
    """A delivery agent's process set up TLS; names no queue ID."""

    at: datetime
    pid: int
    relay: str
    tls: str


class Probe(NamedTuple):
    """A line of our own: everything logged before it has been read (see `reconcile`)."""

    at: datetime
    token: str


Record = (
    Client
    | NotKept
    | Active
    | Delivery
    | Expired
    | Removed
    | Notice
    | Operator
    | Requeued
    | Secured
    | Probe
)
PostCommit = Active | Delivery | Expired | Removed | Notice | Operator
POST_COMMIT = (Active, Delivery, Expired, Removed, Notice, Operator)
