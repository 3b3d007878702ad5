"""Mail that other servers send to mailboxes of ours: it passes as it is, and costs nobody anything.

Nothing of it ever leaves this host.  policyd has asked whether the mailbox is there; here is what
only the milter can see: that *every* recipient is one of ours (Postfix accepts <postmaster> without
asking anybody), and the header.  virtual(8) would return a message with a Delivered-To of the same
mailbox to its sender, who may be forged; so it is refused while the client is still there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from franking.mail import envelope, replies
from franking.mail.replies import Reply
from milterd.verdict import Headers


def all_ours(recipients: Sequence[str], mailboxes: Collection[str]) -> bool:
    return bool(recipients) and all(_ours(recipient, mailboxes) for recipient in recipients)


def _ours(recipient: str, mailboxes: Collection[str]) -> bool:
    _, at, domain = recipient.rpartition("@")
    return bool(at) and domain.lower() in mailboxes


def objection(sender: str, headers: Headers, exceeded: str | None) -> Reply | None:
    """`exceeded`: the limit that the header exceeds."""
    if sender and (why := envelope.objection(sender)):
        return replies.sender_invalid(why)
    if exceeded is not None:
        return replies.too_many_headers(exceeded)
    if any(name.lower() == b"delivered-to" for name, _ in headers):
        return replies.mail_loop()
    return None
