"""An event as customers get it: in webhooks, in the accounting log, in the API.

One flat object with the same fields for every kind, `null` where there is nothing to say.  Fields
may be added, and `schema_version` stays; it is raised when one changes its meaning or goes.

    schema_version, id     1; `evt_` and the event's number: who gets it twice knows it by that
    type, event            the kind, twice: `type` is where Standard Webhooks has it
    timestamp              when it happened, ISO 8601 with offset
    message_id             Postfix's queue ID; of a refusal the one that the 5xx or 4xx had, if any
    recipient, sender      addresses; the sender's is that of the From field
    bounce_category        one of `franking.mail.bounce_classes`
    enhanced_status_code   RFC 3463, `5.1.1`
    reason                 what the remote server, or we, said
    account, credential    names
    domain, stream         the sending domain that was verified; the credential's stream
    tags, metadata         as the message had them
    subject, header_message_id
    mode                   `live`, or `test`: nothing was sent
    attempt                the how-manyth try of delivery
    mx, remote_ip, tls     who was spoken to, and how
    smtp_code              450
    cost                   of the whole message, all recipients, decimal text in the account's
                           currency, `"0.0008"`
    delay, delays, queued  seconds: since acceptance; Postfix's a/b/c/d; in the queue
    node                   whose Postfix; (message_id, node) is unique for ever
    detail                 what only this kind has, such as `requeued_as`
"""

from __future__ import annotations

from typing import Any

from franking.money.amounts import plain_amount

SCHEMA_VERSION = 1
FIELDS = (
    "schema_version", "id", "type", "event", "timestamp", "message_id", "recipient", "sender",
    "bounce_category", "enhanced_status_code", "reason", "account", "credential", "domain",
    "stream", "tags", "metadata", "subject", "header_message_id", "mode", "attempt", "mx",
    "remote_ip", "tls", "smtp_code", "cost", "delay", "delays", "queued", "node", "detail",
)  # fmt: skip

# Of the event's own detail: these have fields of their own.
_LIFTED = frozenset({"tls", "delays", "queued", "queue_id"})


def document(row: Any) -> dict[str, Any]:
    """`row` as `franking.mail.reading` gives them; plain JSON, in the order of `FIELDS`."""
    detail: dict[str, Any] = row.detail or {}
    return {
        "schema_version": SCHEMA_VERSION,
        "id": name(row.id),
        "type": row.kind,
        "event": row.kind,
        "timestamp": row.at.isoformat(),
        "message_id": row.queue_id or detail.get("queue_id"),
        "recipient": row.recipient,
        "sender": row.sender,
        "bounce_category": row.category,
        "enhanced_status_code": row.enhanced_code,
        "reason": row.reply,
        "account": row.account,
        "credential": row.credential,
        "domain": row.domain,
        "stream": row.stream,
        "tags": row.tags or [],
        "metadata": row.metadata or {},
        "subject": row.subject,
        "header_message_id": row.message_id,
        "mode": row.mode,
        "attempt": row.attempt or None,
        "mx": row.remote_host,
        "remote_ip": row.remote_ip,
        "tls": detail.get("tls"),
        "smtp_code": row.smtp_code,
        "cost": None if row.cost is None else plain_amount(row.cost),
        "delay": row.delay,
        "delays": detail.get("delays"),
        "queued": detail.get("queued"),
        "node": row.node,
        "detail": {key: value for key, value in detail.items() if key not in _LIFTED},
    }


def name(event_id: int) -> str:
    """How an event is called outside: `evt_4711`."""
    return f"evt_{event_id}"
