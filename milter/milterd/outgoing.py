"""What a message gets before it leaves: a return path, the headers it lacks, and its signatures."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from franking.domains import signing
from franking.mail import replies
from franking.mail.authority import Authority, SigningDomain
from franking.mail.envelope import sending_domain
from franking.mail.replies import Reply
from milterd.unsubscribe import missing_links
from milterd.verdict import Headers, Lookups, Relay

FEEDBACK_ID = b"Feedback-ID"


def sender_objection(
    sender: str, relay: Relay, lookups: Lookups, authority: Authority, domain: SigningDomain
) -> Reply | None:
    """An envelope sender on no verified domain is refused where the plan says so, and where we
    cannot put one of our own in its place."""
    if not sender or (authority.rules.envelope_sender != "refuse" and relay.return_paths):
        return None
    own = sending_domain(sender)
    if own and (own == domain.name or lookups.signing_domain(authority.account_id, own)):
        return None
    return replies.sender_not_verified(own or sender)


def return_path(sender: str, relay: Relay, domain: SigningDomain, queue_id: str) -> str | None:
    """The new envelope sender, so that what comes back comes to us; None leaves the client's.  A
    null sender asks for nothing to come back (RFC 5321 §4.5.5)."""
    if not sender or relay.return_paths is None:
        return None
    return relay.return_paths.address(queue_id, domain.return_path)


def added(
    headers: Headers,
    relay: Relay,
    authority: Authority,
    *,
    recipients: Sequence[str],
    queue_id: str,
    author_domain: str,
    now: datetime,
) -> Headers:
    """All header fields that are added; the signature covers them."""
    return [
        *_missing(headers, author_domain, now),
        *_references(headers, relay, authority, queue_id),
        *missing_links(relay.unsubscribe, headers, authority, recipients, queue_id),
    ]


def _missing(headers: Headers, domain: str, now: datetime) -> Headers:
    """RFC 5322 wants a Date, and everybody wants a Message-ID."""
    present = {name.lower() for name, _ in headers}
    add: Headers = []
    if b"date" not in present:
        add.append((b"Date", b" " + format_datetime(now).encode()))
    if b"message-id" not in present:
        add.append((b"Message-ID", f" <{uuid.uuid4()}@{domain}>".encode()))
    return add


def _references(headers: Headers, relay: Relay, authority: Authority, queue_id: str) -> Headers:
    """By which a complaint is known to be about this message, even when its recipients are
    redacted; and Feedback-ID, by which Gmail counts them (stream, credential, account, and last
    the sender of it all)."""
    add: Headers = []
    if (token := relay.reference(queue_id)) is not None:
        add.append((relay.reference_header, b" " + token.encode()))
    if not any(name.lower() == FEEDBACK_ID.lower() for name, _ in headers):
        value = (
            f" {authority.stream}:{authority.credential_id}:{authority.account_id}:{relay.prefix}"
        )
        add.append((FEEDBACK_ID, value.encode()))
    return add


def signatures(
    headers: Headers,
    body_hash: bytes,
    domain: SigningDomain,
    lookups: Lookups,
    now: datetime,
    *,
    also: bytes,
) -> list[bytes]:
    """The values of the DKIM-Signature fields, one for each of the domain's keys; `also` is one
    more field to be signed."""
    return [
        signing.sign(
            headers,
            body_hash,
            domain=domain.name,
            selector=key.selector,
            key=lookups.private_key(domain.domain_id, key),
            algorithm=key.algorithm,
            now=now,
            also=(also.lower(),),
        )
        for key in domain.keys
    ]
