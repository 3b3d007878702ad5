"""To whom a report about a message is passed on, besides being kept: its original sender.

Envelope senders become our own, so that what comes back can be read; who wrote an address of theirs
there expects it nevertheless.  Only to an address on a domain that the account has verified: else
anybody could have reports sent to anybody.  Never to a mailbox of ours, of whatever customer.  The
report goes on with a null sender, so nothing comes back for it, and once: whether it has, is an
event `notified` of each recipient that it was about.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.accounts.rules import rules_of
from franking.domains.models import Domain
from franking.mail import authority, returnpath
from franking.mail.envelope import objection, sending_domain
from franking.mail.models import Event, Message, Recipient
from franking.money.models import Plan


@dataclass(frozen=True)
class Reported:
    """The message that a token is of; `recipients` by their addresses in lower case."""

    queue_id: str
    node: str
    account_id: int
    envelope_sender: str
    forwards: bool
    recipients: dict[str, str]

    def meant(self, candidates: Collection[str]) -> str | None:
        """Which recipient a report means that names these, the likeliest first; of a message to one
        it means that one: mail that somebody forwards fails at another address."""
        found = (self.recipients[name] for name in candidates if name in self.recipients)
        only = next(iter(self.recipients.values())) if len(self.recipients) == 1 else None
        return next(found, only)


def reported(session: Session, queue_id: str) -> Reported | None:
    """None when no such message is kept; nor is it told which, when two nodes have one."""
    rows = session.execute(
        select(Message.node, Message.account_id, Message.envelope_sender, Plan.rules)
        .join(Account, Account.id == Message.account_id)
        .join(Plan, Plan.id == Account.plan_id)
        .where(Message.queue_id == queue_id)
        .limit(2)
    ).all()
    if len(rows) != 1:
        return None
    [(node, account_id, sender, rules)] = rows
    addresses = session.scalars(
        select(Recipient.address).where(Recipient.queue_id == queue_id, Recipient.node == node)
    )
    recipients = {address.lower(): address for address in addresses}
    forwards = rules_of(rules).forward_bounces
    return Reported(queue_id, node, account_id, sender, forwards, recipients)


def addressee(session: Session, message: Reported, ours: Collection[str]) -> str | None:
    """The original sender, if reports are passed on to it; `ours` are our own domains."""
    sender = message.envelope_sender
    if not message.forwards or not sender or objection(sender) is not None:
        return None
    domain = sending_domain(sender)
    if domain is None or domain in ours or returnpath.is_return_path(sender):
        return None
    if authority.signing_domain(session, message.account_id, domain) is None:
        return None
    return None if _leads_to_us(session, domain) else sender


def _leads_to_us(session: Session, domain: str) -> bool:
    """Whether it is the bounce domain of a customer."""
    host, _, parent = domain.partition(".")
    query = select(Domain.id).where(
        Domain.name == parent, Domain.return_path_host == host, Domain.removed_at.is_(None)
    )
    return session.scalar(query.limit(1)) is not None


def passed_on(to: str, action: str) -> dict[str, str]:
    """The detail of the event."""
    return {"kind": "passed on", "to": to, "action": action}


def is_passed_on(session: Session, message: Reported, recipient: str | None, action: str) -> bool:
    """`recipient` None: the report names none of several."""
    details = session.scalars(
        select(Event.detail).where(
            Event.queue_id == message.queue_id,
            Event.node == message.node,
            Event.kind == "notified",
            Event.recipient.is_(None) if recipient is None else Event.recipient == recipient,
        )
    )
    return any(
        detail.get("kind") == "passed on" and detail.get("action") == action for detail in details
    )
