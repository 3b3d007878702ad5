"""Which of a message's header fields may leave: the plan's rule for custom headers.

`keep` lets all of them pass, `drop` none, `allowlist` those that the plan names.  Custom is what
is neither part of a mail standard nor needed to answer, to unsubscribe or to be recognised as
automatic (the lists below).  Some fields never leave, whatever the plan says:

* Bcc, Resent-Bcc: they would show every reader who else got the message (RFC 5322 §3.6.3).
* Return-Path: the last system writes it (RFC 5321 §4.4); in transit it is a forgery.
* Content-Length: counts the body of a mailbox file; software that believes it cuts the message.
* what `labels` and `idempotency` read: it is for us, and the reader's program may show it.
* the brand's own X-<Brand>-…: only the service speaks under that name.

Postfix removes those in `NEVER_LEAVE` as well, before it shows us the message
(message_drop_headers); here they are kept off should an operator change that.  A client's
DKIM-Signature stays: several are legal (RFC 6376 §4), and it may be the customer's own.  So do
Received, ARC-* and Authentication-Results, which a forwarding customer passes on and receivers
judge for themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Literal

from milterd import labels, tags
from milterd.removal import without
from milterd.verdict import Deletions, Headers

Mode = Literal["keep", "allowlist", "drop"]

NEVER_LEAVE = frozenset((b"bcc", b"resent-bcc", b"return-path", b"content-length"))

# RFC 5322 §3.6, and the permanent entries of IANA's registry (RFC 4021) that senders write.
STANDARD = frozenset(
    (
        *(b"date", b"from", b"sender", b"reply-to", b"to", b"cc", b"message-id", b"in-reply-to"),
        *(b"references", b"subject", b"comments", b"keywords", b"received", b"mime-version"),
        *(b"dkim-signature", b"authentication-results", b"received-spf"),
        *(b"auto-submitted", b"precedence", b"feedback-id", b"archived-at", b"autocrypt"),
        *(b"disposition-notification-to", b"disposition-notification-options"),
        *(b"original-message-id", b"require-recipient-valid-since", b"tls-required"),
        *(b"importance", b"priority", b"sensitivity", b"organization", b"expires"),
    )
)
# MIME (RFC 2045), mailing lists (RFC 2369, 2919, 8058), RFC 5322 §3.6.6, RFC 8617.
STANDARD_PREFIXES = (b"content-", b"list-", b"resent-", b"arc-")


def apply(
    headers: Sequence[tuple[bytes, bytes]], mode: Mode, allowed: Sequence[str], tag_header: str
) -> tuple[Deletions, Headers]:
    """(what to delete, what remains); `allowed` are field names, for the mode `allowlist` only."""
    return without(headers, unwanted(mode, tuple(allowed), tag_header))


@functools.lru_cache(1024)
def unwanted(mode: Mode, allowed: tuple[str, ...], tag_header: str) -> Callable[[bytes], bool]:
    """Tells of a field name in lower case whether it has to go."""
    brand = tags.brand_prefix(tag_header)
    read = labels.removable(tag_header)
    passed = frozenset(name.lower().encode() for name in allowed if mode == "allowlist")

    def never(name: bytes) -> bool:
        return name in NEVER_LEAVE or name.startswith(brand) or read(name)

    def never_or_custom(name: bytes) -> bool:
        return never(name) or not (
            name in STANDARD or name in passed or name.startswith(STANDARD_PREFIXES)
        )

    return never if mode == "keep" else never_or_custom
