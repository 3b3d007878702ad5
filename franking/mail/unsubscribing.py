"""One-click unsubscription (RFC 8058): a token for one message to one recipient, and what it does.

It is in the links that bulk mail carries (`milterd.unsubscribe`): on the panel, `/u/<token>`, and
as a mailbox on the bounce domain, `unsubscribe+<token>`.  The token is the queue ID and a MAC over
it, so nobody can unsubscribe others, and telling a forged one needs no database.  It does not
expire: it serves as long as the message is kept.

Who unsubscribes gets no more mail of the message's stream, and may take that back.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.models import Credential
from franking.mail import late, suppressing
from franking.mail.config import Suppressions
from franking.mail.late import Late
from franking.mail.models import Event, Message, Recipient, Suppression
from franking.mail.suppressing import Failure
from franking.mail.suppressions import normal
from franking.mail.tokens import MAC_LENGTH, Macs, base32, from_base32
from franking.settings import Settings

START = "unsubscribe+"
BY_RECIPIENT = "recipient"  # in the audit trail
LONGEST = 64  # characters that are looked at

By = Literal["one-click", "page", "mail"]


class Tokens:
    def __init__(self, master_key: bytes, old_master_key: bytes | None = None) -> None:
        """Tokens made with the old master key are ours, too."""
        self._macs = Macs(b"unsubscribe", master_key, old_master_key)

    @classmethod
    def of(cls, settings: Settings) -> Tokens:
        """Raises SettingsError."""
        return cls(settings.master_key_bytes(), settings.old_master_key_bytes())

    def token(self, queue_id: str) -> str:
        """For this message; `queue_id` has letters and digits only, as Postfix's have."""
        return _packed(queue_id) + self._macs.of(queue_id)

    def queue_id(self, token: str) -> str | None:
        """The message that the token is for; None when we never made it."""
        token = token.lower()
        if len(token) > LONGEST or not token.isascii():
            return None
        try:
            queue_id = _unpacked(token[:-MAC_LENGTH])
        except ValueError:
            return None
        return queue_id if self._macs.is_genuine(queue_id, token[-MAC_LENGTH:]) else None


def _packed(queue_id: str) -> str:
    """Its characters are base 64's, 6 bits each; `/`, which it never has, fills it up."""
    return base32(base64.b64decode(queue_id + "/" * (-len(queue_id) % 4), validate=True))


def _unpacked(text: str) -> str:
    return base64.b64encode(from_base32(text)).decode().rstrip("/=")


@dataclass(frozen=True)
class Subscription:
    """The only recipient of a message, and what it was of.

    `event_id`: the unsubscription, when there was one; `holds`: it is on the list at present.
    """

    account_id: int
    node: str
    queue_id: str
    sender: str
    address: str
    stream: str
    event_id: int | None
    holds: bool = False


_OF_MESSAGE = (
    select(
        Message.account_id,
        Message.node,
        Message.queue_id,
        Message.from_address,
        Recipient.address,
        Credential.stream,
        Event.id,
    )
    .join(Recipient, (Recipient.queue_id == Message.queue_id) & (Recipient.node == Message.node))
    .join(Credential, Credential.id == Message.credential_id)
    .outerjoin(
        Event,
        (Event.queue_id == Message.queue_id)
        & (Event.node == Message.node)
        & (Event.recipient == Recipient.address)
        & (Event.kind == "unsubscribed"),
    )
)


def find(session: Session, queue_id: str) -> Subscription | None:
    """What a message's token is for; None when the message is not kept any more.

    Two nodes may have made the same queue ID: whose token it is cannot be told then.
    """
    found = session.execute(_OF_MESSAGE.where(Message.queue_id == queue_id).limit(2)).all()
    if len(found) != 1:
        return None
    subscription = Subscription(*found[0])
    listed = select(Suppression.id).where(*_entry(subscription))
    holds = subscription.event_id is not None and session.scalar(listed) is not None
    return replace(subscription, holds=holds)


def take(
    session: Session, queue_id: str, rules: Suppressions, now: datetime, *, by: By
) -> Subscription | None:
    """Unsubscribe, as often as it is asked; None when the message is not kept any more."""
    subscription = find(session, queue_id)
    if subscription is None:
        return None
    said = Late(queue_id, subscription.address, "unsubscribed", now, detail={"by": by})
    if late.record(session, subscription.node, said, rules, now) is None:
        _again(session, subscription, rules, now)
    return find(session, queue_id)


def undo(session: Session, queue_id: str) -> Subscription | None:
    """Take back this message's unsubscription; not what another one, or a complaint, has caused."""
    subscription = find(session, queue_id)
    if subscription is None or not subscription.holds:
        return subscription
    entry = delete(Suppression).where(*_entry(subscription)).returning(Suppression.scope_name)
    for stream in session.scalars(entry).all():
        audit.record(
            session, subscription.account_id, BY_RECIPIENT, "suppression.remove",
            address=normal(subscription.address), scope=f"stream:{stream}", message=queue_id,
        )  # fmt: skip
    return find(session, queue_id)


def _entry(subscription: Subscription) -> tuple[ColumnElement[bool], ...]:
    """What this message's unsubscription has put on the list."""
    return (
        Suppression.account_id == subscription.account_id,
        Suppression.address == normal(subscription.address),
        Suppression.scope == "stream",
        Suppression.reason == "unsubscribe",
        Suppression.event_id == subscription.event_id,
    )


def _again(
    session: Session, subscription: Subscription, rules: Suppressions, now: datetime
) -> None:
    """It was taken back, or removed from the list, after the event."""
    failure = Failure(
        account_id=subscription.account_id,
        address=subscription.address,
        queue_id=subscription.queue_id,
        node=subscription.node,
        event_id=subscription.event_id,
        kind="unsubscribed",
        stream=subscription.stream,
        late=True,
    )
    suppressing.consider(session, [failure], rules, now)
