"""Mail that other servers send to mailboxes of ours: it passes as it is, and costs nobody anything.

Nothing of it ever leaves this host.  policyd has asked whether the mailbox is there; here it is
asked again of *every* recipient (Postfix accepts <postmaster> without asking anybody).  A return
path on a customer's bounce domain is replaced by the same one on ours, which virtual(8) delivers;
left as it is, it would be sent to that domain's MX, which is us.  virtual(8) would return a message
with a Delivered-To of the same mailbox to its sender, who may be forged; so it is refused while the
client is still there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from franking.mail import envelope, replies
from franking.mail.mailboxes import Mailboxes
from franking.mail.replies import Reply
from milterd.verdict import Headers


def homes(recipients: Sequence[str], mailboxes: Mailboxes, now: datetime) -> Mapping[str, str]:
    """Recipient → where it is delivered; empty unless all of them are mailboxes of ours."""
    found = {recipient: _home(recipient, mailboxes, now) for recipient in recipients}
    known = {recipient: home for recipient, home in found.items() if home is not None}
    return known if len(known) == len(found) else {}


def _home(recipient: str, mailboxes: Mailboxes, now: datetime) -> str | None:
    """Only of a plain address: it has to be found again in order to be replaced."""
    return None if envelope.objection(recipient) else mailboxes.home(recipient, now)


def objection(sender: str, headers: Headers, exceeded: str | None) -> Reply | None:
    """`exceeded`: the limit that the header exceeds."""
    if sender and (why := envelope.objection(sender)):
        return replies.sender_invalid(why)
    if exceeded is not None:
        return replies.too_many_headers(exceeded)
    if any(name.lower() == b"delivered-to" for name, _ in headers):
        return replies.mail_loop()
    return None
