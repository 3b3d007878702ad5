"""What goes into a verdict on a message and what comes out of it: plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from franking.domains.dkim import PrivateKey
from franking.mail.acceptance import Acceptance
from franking.mail.authority import Authority, SigningDomain, SigningKey
from franking.mail.mailboxes import Mailboxes
from franking.mail.replies import Reply
from franking.mail.returnpath import ReturnPaths
from milterd.unsubscribe import Links

Headers = list[tuple[bytes, bytes]]
Deletions = list[tuple[str, int]]


@dataclass(frozen=True)
class Relay:
    """The operator's part of the decision; sizes in bytes.

    Without `return_paths` an envelope sender cannot be rewritten.  `prefix` is the brand's.
    `mailboxes`: the addresses that are our own; other servers may write to them, `mailbox_bytes`
    at once.
    """

    node: str
    tag_header: str
    max_header_bytes: int
    max_header_fields: int
    max_message_bytes: int
    return_paths: ReturnPaths | None = None
    prefix: str = "frank"
    mailboxes: Mailboxes = field(default_factory=Mailboxes)
    mailbox_bytes: int = 20 << 20
    unsubscribe: Links | None = None

    @property
    def reference_header(self) -> bytes:
        """`X-Franking-Ref`, where the tags are in `X-Franking-Tags`."""
        return self.tag_header.rpartition("-")[0].encode() + b"-Ref"

    def reference(self, queue_id: str) -> str | None:
        return None if self.return_paths is None else self.return_paths.reference(queue_id)


@dataclass(frozen=True)
class Client:
    """What the SMTP session knows; `username` is empty when nobody logged in."""

    username: str = ""
    auth_method: str | None = None
    ip: str | None = None
    helo: str | None = None
    tls: str | None = None


@dataclass(frozen=True)
class Lookups:
    """What a verdict needs from outside; each may raise, which is nobody's refusal.

    `suppressed` takes account, addresses, sending domain and stream, and gives address → why.
    """

    authority: Callable[[str], Authority | None]
    signing_domain: Callable[[int, str], SigningDomain | None]
    private_key: Callable[[int, SigningKey], PrivateKey]
    suppressed: Callable[[int, Sequence[str], str, str], Mapping[str, str]]


@dataclass(frozen=True)
class Refusal:
    """The reply; `authority` says whose refusal it is, when that is known."""

    reply: Reply
    authority: Authority | None = None


@dataclass(frozen=True)
class Changes:
    """What Postfix has to change in the message, and what to commit after that.

    `delete` holds (name, index), the index counting fields of that name from 1, highest first;
    `leave_out` the recipients to take away, as the client wrote them; `sender` a new envelope
    sender, and `envelope_id` the ENVID (RFC 3461 §4.4) that goes with it, unless the client gave
    one.
    """

    delete: Deletions
    add: Headers
    signatures: list[bytes]
    leave_out: list[str]
    sender: str | None
    envelope_id: str | None
    acceptance: Acceptance
