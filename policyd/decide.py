"""May it, now?  One policy request, one decision.

At RCPT: is the client logged in, may its credential and account still send, are sender and
recipient plain addresses (`franking.mail.envelope`), is there money for one message?  The same
again at DATA, before the content is sent: Postfix accepts RCPT TO:<postmaster> without asking
anybody (smtpd_check_rcpt() in smtpd/smtpd_check.c), and things change.  Every other stage, and
every yes, is DUNNO: OK would skip the restrictions behind this one.

This moves no money and is only an early answer; milterd decides for good at the end of the
message.  Our own trouble is `Unavailable`: the server then closes the connection, Postfix asks
again and at last says 451 (`default_action` in postfix/main.cf).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from franking.db import Database
from franking.mail import replies
from franking.mail.authority import Authority, authority
from franking.mail.envelope import objection
from franking.mail.replies import Reply
from policyd.authenticate import Unavailable
from policyd.delegation import DUNNO, Request
from policyd.journal import Refusal

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
    """`reply` None is DUNNO; `refusal` is set when there is an account to show it to."""

    reply: Reply | None = None
    refusal: Refusal | None = None

    def action(self, panel_url: str) -> str:
        return DUNNO if self.reply is None else self.reply.line(panel_url)


def decide(database: Database, request: Request, now: datetime) -> Decision:
    """Raises Unavailable."""
    if request.protocol_state not in STAGES:
        return Decision()
    if not request.sasl_username:
        return Decision(replies.authentication_required())
    try:
        with database.session() as session:
            standing = authority(session, request.sasl_username, now)
    except SQLAlchemyError as error:
        raise Unavailable("decide") from error
    if standing is None:
        return Decision(replies.credential_revoked())
    reply = _refused(standing, request)
    if reply is None:
        return Decision()
    return Decision(reply, _refusal(standing, request, reply, now))


def _refused(standing: Authority, request: Request) -> Reply | None:
    """The first reason against it."""
    if standing.credential_revoked:
        return replies.credential_revoked()
    if standing.account_status != "active":
        return replies.account_suspended(standing.suspended_reason)
    if request.sender and (why := objection(request.sender)) is not None:
        return replies.sender_invalid(why)
    known = request.recipient or request.protocol_state == "RCPT"  # at DATA if it is the only one
    if known and (why := objection(request.recipient)) is not None:
        return replies.recipient_invalid(why)
    if standing.available < standing.unit_price:
        return replies.insufficient_balance()
    return None


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
