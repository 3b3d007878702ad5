"""Mail from other servers, to mailboxes of our own: addresses that DMARC reports are sent to.

Only an address that stands in a customer's DMARC record exists; whoever is not logged in can write
to nobody else.  At DATA Postfix names the recipient only when there is one.  Of several, as many
must have been let pass as there are, because it accepts RCPT TO:<postmaster> without asking; the
milter, which sees them all, decides in the end.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from franking.domains.models import Domain
from franking.mail import envelope, replies
from franking.mail.replies import Reply
from policyd.connections import Connection
from policyd.delegation import Request

_domain = Domain.__table__.c
_KNOWN = select(_domain.id).where(
    _domain.dmarc_token == bindparam("token"), _domain.removed_at.is_(None)
)


class Inbound:
    def __init__(self, reports: str) -> None:
        """`reports`: the domain of the addresses; empty: there are none."""
        self._reports = reports.lower()

    def concerns(self, request: Request) -> bool:
        """Whether this may be mail to one of them; every other is a stranger's."""
        if not self._reports:
            return False
        if not request.recipient:
            return request.protocol_state == "DATA"
        _, at, domain = request.recipient.rpartition("@")
        return bool(at) and domain.lower() == self._reports

    def objection(self, session: Session, request: Request, connection: Connection) -> Reply | None:
        """The answer to a client that is not logged in; None lets it pass."""
        if request.sender and (why := envelope.objection(request.sender)) is not None:
            return replies.sender_invalid(why)
        if not request.recipient:
            passed = connection.inbound >= request.recipients > 0
            return None if passed else replies.authentication_required()
        token = request.recipient.rpartition("@")[0].lower()
        if session.execute(_KNOWN, {"token": token}).first() is None:
            return replies.no_such_mailbox()
        if request.protocol_state == "RCPT":
            connection.inbound += 1
        return None
