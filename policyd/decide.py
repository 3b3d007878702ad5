"""May it, now?  One policy request, one decision.

At RCPT: is the client logged in, does this node take mail, may credential and account still send,
is the connection one too many or used up, are sender and recipient plain addresses
(`franking.mail.envelope`), is the recipient one too many or suppressed, is a limit reached, is
there money for one message?  Most of it again at DATA, before the content is sent: Postfix accepts
RCPT TO:<postmaster> without asking anybody (smtpd_check_rcpt() in smtpd/smtpd_check.c), and things
change.  Every other stage, and every yes, is DUNNO: OK would skip the restrictions behind this one.
Who is not logged in may write to our own mailboxes (`policyd.inbound`).

This moves no money and counts nothing: it is an early answer, and milterd decides for good at the
end of the message.  Our own trouble is `Unavailable`: the server then closes the connection,
Postfix asks again and at last says 451 (`default_action` in postfix/main.cf).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from franking.accounts import limits
from franking.accounts.limits import Subject
from franking.db import Database
from franking.mail import replies, suppressions
from franking.mail.authority import Authority, authority
from franking.mail.envelope import objection, sending_domain
from franking.mail.mailboxes import Mailboxes
from franking.mail.replies import Reply
from franking.nodes import tallies
from franking.reasons import CapReached, InsufficientBalance
from policyd.authenticate import Unavailable
from policyd.connections import Connection, Connections
from policyd.delegation import DUNNO, Request
from policyd.inbound import Inbound
from policyd.journal import Refusal
from policyd.node import NodeState

STAGES = ("RCPT", "DATA")
DETAILS = {  # an event's own words for Postfix's attributes
    "stage": "protocol_state",
    "client_ip": "client_address",
    "helo": "helo_name",
    "tls": "encryption_protocol",
    "auth_method": "sasl_method",
    "listener": "policy_context",
}
LONGEST_SHOWN = 320  # characters; an address may have 254 octets


@dataclass(frozen=True)
class Decision:
    """`reply` None is DUNNO; `refusal` is set when there is an account to show it to.

    `credential_id` is whose client asked, when that is known; `tally` is what to count.
    """

    reply: Reply | None = None
    refusal: Refusal | None = None
    credential_id: int | None = None
    tally: tallies.Name | None = None

    def action(self, panel_url: str) -> str:
        return DUNNO if self.reply is None else self.reply.line(panel_url)


class Decider:
    """Its `decide` is called by several threads at once."""

    def __init__(
        self,
        database: Database,
        node: NodeState,
        connections: Connections,
        inbound: Inbound | None = None,
    ) -> None:
        self._database = database
        self._node = node
        self._connections = connections
        self._inbound = inbound or Inbound(Mailboxes())

    def decide(self, request: Request, now: datetime) -> Decision:
        """Raises Unavailable."""
        if request.protocol_state not in STAGES:
            return Decision()
        if not request.sasl_username:
            return self._stranger(request, now)
        connection = self._connections.asked(request)
        try:
            with self._database.session() as session:
                standing = authority(session, request.sasl_username, now)
                if standing is None:
                    return Decision(replies.credential_revoked())
                question = _Question(session, request, standing, connection, now)
                reply = next(self._objections(question), None)
        except SQLAlchemyError as error:
            raise Unavailable("decide") from error
        if reply is None:
            connection.under_way = True
        refusal = None if reply is None else _refusal(standing, request, reply, now)
        return Decision(reply, refusal, standing.credential_id)

    def _stranger(self, request: Request, now: datetime) -> Decision:
        if not self._inbound.concerns(request):
            return Decision(replies.authentication_required())
        connection = self._connections.asked(request)
        answer = self._inbound.answer(request, connection, now)
        reply = self._look_up(request) if answer.looked_up else answer.reply
        if reply is None and request.protocol_state == "RCPT":
            connection.inbound += 1
        return Decision(reply, tally=answer.tally)

    def _look_up(self, request: Request) -> Reply | None:
        try:
            with self._database.session() as session:
                if request.protocol_state == "RCPT" and self._node.refuses(session):
                    return replies.relaying_denied()
                return self._inbound.look_up(session, request)
        except SQLAlchemyError as error:
            raise Unavailable("decide") from error

    def _objections(self, question: _Question) -> Iterator[Reply]:
        """The reasons against it; the first is the answer, so later ones are not looked for."""
        # What is under way may finish on a node that is being drained.
        if question.is_new and self._node.refuses(question.session):
            yield replies.relaying_denied()
        yield from _standing(question.standing)
        yield from self._connection(question)
        yield from _addresses(question.request)
        yield from self._recipients(question)
        yield from _limits(question)
        yield from _balance(question)

    def _connection(self, question: _Question) -> Iterator[Reply]:
        rules, connection = question.standing.rules, question.connection
        if connection.number > rules.max_messages_per_connection:
            yield replies.connection_messages()
        most = rules.max_connections
        if most is not None and not self._connections.admits(connection, most):
            yield replies.too_many_connections(most)

    def _recipients(self, question: _Question) -> Iterator[Reply]:
        request, rules = question.request, question.standing.rules
        if request.protocol_state != "RCPT":
            return
        if rules.suppressed == "reject":
            yield from _suppressed(question)
        most = rules.max_recipients
        if most is not None and not self._connections.takes(
            question.connection, request.recipient.lower(), most
        ):
            yield replies.too_many_recipients(most)


@dataclass(frozen=True)
class _Question:
    session: Session
    request: Request
    standing: Authority
    connection: Connection
    now: datetime

    @property
    def is_new(self) -> bool:
        """No recipient of this transaction has passed yet."""
        return self.request.protocol_state == "RCPT" and not self.connection.under_way


def _standing(standing: Authority) -> Iterator[Reply]:
    if standing.credential_ended:
        yield replies.credential_revoked()
    if standing.account_status != "active":
        yield replies.account_suspended(standing.suspended_reason)


def _addresses(request: Request) -> Iterator[Reply]:
    if request.sender and (why := objection(request.sender)) is not None:
        yield replies.sender_invalid(why)
    known = request.recipient or request.protocol_state == "RCPT"  # at DATA if it is the only one
    if known and (why := objection(request.recipient)) is not None:
        yield replies.recipient_invalid(why)


def _suppressed(question: _Question) -> Iterator[Reply]:
    request, standing = question.request, question.standing
    found = suppressions.matching(
        question.session,
        standing.account_id,
        [request.recipient.lower()],
        sending_domain(request.sender) or "",  # all that is known before the From header
        standing.stream,
        now=question.now,
    )
    for suppressed in found.values():
        yield replies.recipient_suppressed(suppressed.reason, suppressed.created_at.date())


def _limits(question: _Question) -> Iterator[Reply]:
    """Once at the first recipient, and at DATA, each time as for one recipient: Postfix counts
    repeated and suppressed ones too, and only milterd knows how many get the message."""
    windows = question.standing.rules.counted()
    request, standing = question.request, question.standing
    if not windows or not (question.is_new or request.protocol_state == "DATA"):
        return
    subject = Subject(
        standing.account_id,
        standing.credential_id,
        request.client_address,
        test=standing.mode == "test",
    )
    exceeded = limits.exceeded(question.session, windows, subject, question.now)
    if exceeded is not None:
        yield limits.reply(exceeded)


def _balance(question: _Question) -> Iterator[Reply]:
    """At RCPT as for one recipient; at DATA, Postfix says how many there are.  Where suppressed
    ones are left out, only milterd knows how many get the message."""
    standing = question.standing
    if standing.mode != "live":
        return
    known = standing.rules.suppressed == "reject"
    try:
        standing.check_funds(question.request.recipients if known else 1)
    except (InsufficientBalance, CapReached) as why:
        yield replies.unpaid(why, standing.terms.on_empty)


def _refusal(standing: Authority, request: Request, reply: Reply, now: datetime) -> Refusal:
    asked = (request.instance, request.recipient, request.protocol_state)
    return Refusal(
        standing.account_id,
        standing.credential_id,
        reply,
        now,
        sender=_shown(request.sender),
        recipient=_shown(request.recipient),
        queue_id=_shown(request.queue_id),
        detail={
            name: value
            for name, attribute in DETAILS.items()
            if (value := _shown(getattr(request, attribute)))
        },
        once=asked if request.instance else None,
    )


def _shown(text: str) -> str | None:
    """Fit to be stored and shown; PostgreSQL takes no NUL."""
    clean = "".join(c if c.isprintable() else "?" for c in text[:LONGEST_SHOWN])
    return clean or None
