"""Mail from other servers, to mailboxes of our own: bounces, complaints, DMARC reports.

`franking.mail.mailboxes` says which there are; whoever is not logged in can write to nobody else.
A token shows for itself that it is genuine: what comes back for a message is taken while the
database is away, and on a node that drains, which still has mail to deliver.  Only an address for
DMARC reports has to be looked up.

At DATA Postfix names the recipient only when there is one.  Of several, as many must have been let
pass as there are, because it accepts RCPT TO:<postmaster> without asking; the milter, which sees
them all, decides in the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from franking.domains.models import Domain
from franking.mail import envelope, replies
from franking.mail.mailboxes import Mailboxes
from franking.mail.replies import Reply
from franking.mail.returnpath import Expired, Forged
from franking.nodes import tallies
from franking.reasons import NotFound
from policyd.connections import Connection
from policyd.delegation import Request

_domain = Domain.__table__.c
_KNOWN = select(_domain.id).where(
    _domain.dmarc_token == bindparam("token"), _domain.removed_at.is_(None)
)


@dataclass(frozen=True)
class Answer:
    """`reply` None lets it pass, unless it is for a mailbox that has to be `looked_up`."""

    reply: Reply | None = None
    looked_up: bool = False
    tally: tallies.Name | None = None


class Inbound:
    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes

    def concerns(self, request: Request) -> bool:
        """Whether this may be mail to one of them; every other is a stranger's."""
        if not request.recipient:
            return request.protocol_state == "DATA"
        return self._mailboxes.looks_ours(request.recipient)

    def answer(self, request: Request, connection: Connection, now: datetime) -> Answer:
        """To a client that is not logged in, without the database."""
        if request.sender and (why := envelope.objection(request.sender)) is not None:
            return Answer(replies.sender_invalid(why))
        if not request.recipient:
            passed = connection.inbound >= request.recipients > 0
            return Answer(None if passed else replies.authentication_required())
        if envelope.objection(request.recipient) is not None:
            return Answer(replies.no_such_mailbox())
        return self._mailbox(request.recipient, now)

    def _mailbox(self, recipient: str, now: datetime) -> Answer:
        try:
            return Answer(looked_up=self._mailboxes.kind(recipient, now) == "report")
        except Forged:
            return Answer(replies.no_such_mailbox(), tally="inbound_forged")
        except Expired:
            return Answer(replies.no_such_mailbox(), tally="inbound_expired")
        except NotFound:
            return Answer(replies.no_such_mailbox())

    def look_up(self, session: Session, request: Request) -> Reply | None:
        """The answer for an address that DMARC reports may be sent to."""
        token = request.recipient.rpartition("@")[0].lower()
        if session.execute(_KNOWN, {"token": token}).first() is None:
            return replies.no_such_mailbox()
        return None
