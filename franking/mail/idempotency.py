"""`X-Idempotency-Key`: a repeat within 24 hours is the first message, not a second one.

The first message owns the key together with a digest of its content.  A repeat is told by the key:
with the same content it becomes another name (an alias) of the first message, with other content
it is refused.  Until the first one's money is settled nobody knows whether Postfix has kept it, so
the repeat has to come again; if it was voided, the repeat takes its place.  What waits for money
for longer than `KEPT` has a queue file: housekeeping voids what has none.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.orm import Session

from franking.mail.models import IdempotencyKey, Message, MessageAlias
from franking.money.models import Reservation

LIFETIME = timedelta(hours=24)
KEPT = timedelta(minutes=5)


class Standing(Enum):
    """What a key says about the message that came with it."""

    FIRST = "first"  # it owns the key now
    REPEAT = "repeat"  # an alias of the first is written
    PENDING = "pending"  # nobody knows yet what became of the first
    CONFLICT = "conflict"  # the first had another content


_CLAIM = text(
    "INSERT INTO idempotency_key"
    " (account_id, mode, key, content_sha256, queue_id, node, created_at)"
    " VALUES (:account_id, :mode, :key, :content, :queue_id, :node, :now)"
    " ON CONFLICT (account_id, mode, key) DO UPDATE SET content_sha256 = excluded.content_sha256,"
    " queue_id = excluded.queue_id, node = excluded.node, created_at = excluded.created_at"
    " WHERE idempotency_key.created_at <= :expired RETURNING queue_id"
).bindparams(
    bindparam("now", type_=IdempotencyKey.__table__.c.created_at.type),
    bindparam("expired", type_=IdempotencyKey.__table__.c.created_at.type),
)
_keys = IdempotencyKey.__table__.c
_messages, _reservations = Message.__table__.c, Reservation.__table__.c
_FIRST = (
    select(
        _keys.queue_id, _keys.node, _keys.content_sha256,
        _messages.status, _messages.accepted_at, _reservations.state,
    )
    .select_from(IdempotencyKey.__table__)
    .outerjoin(
        Message.__table__,
        (_messages.queue_id == _keys.queue_id) & (_messages.node == _keys.node),
    )
    .outerjoin(
        Reservation.__table__,
        (_reservations.queue_id == _keys.queue_id) & (_reservations.node == _keys.node),
    )
    .where(
        _keys.account_id == bindparam("account_id"),
        _keys.mode == bindparam("mode"),
        _keys.key == bindparam("key"),
    )
)  # fmt: skip
_TAKE_OVER = (
    update(IdempotencyKey.__table__)  # type: ignore[arg-type]
    .where(
        _keys.account_id == bindparam("b_account_id"),
        _keys.mode == bindparam("b_mode"),
        _keys.key == bindparam("b_key"),
    )
    .values(
        content_sha256=bindparam("b_content"),
        queue_id=bindparam("b_queue_id"),
        node=bindparam("b_node"),
        created_at=bindparam("b_now"),
    )
)
# Thrown away when they were accepted: no reservation, and nothing that could still change.
_THROWN_AWAY = ("sandboxed", "suppressed")


def claim(
    session: Session,
    *,
    account_id: int,
    mode: str,
    key: str,
    content: str,
    queue_id: str,
    node: str,
    now: datetime,
) -> Standing:
    """Inside the transaction that accepts the message; two at once wait for each other.

    `mode` is the credential's, live or test: each has its own keys.  `content` is a digest of what
    the message says and to whom (64 hexadecimal digits).
    """
    ours = {
        "account_id": account_id,
        "mode": mode,
        "key": key,
        "content": content,
        "queue_id": queue_id,
        "node": node,
    }
    connection = session.connection()
    if connection.execute(_CLAIM, ours | {"now": now, "expired": now - LIFETIME}).first():
        return Standing.FIRST
    names = {"account_id": account_id, "mode": mode, "key": key}
    first = connection.execute(_FIRST, names).one()
    if first.status == "voided":
        values = ours | {"now": now}
        connection.execute(_TAKE_OVER, {f"b_{name}": value for name, value in values.items()})
        return Standing.FIRST
    if first.content_sha256 != content:
        return Standing.CONFLICT
    # Only what Postfix is known to have kept is an answer; "unknown" may yet be voided.
    waits = first.state == "waiting" and first.accepted_at <= now - KEPT
    if first.state != "captured" and first.status not in _THROWN_AWAY and not waits:
        return Standing.PENDING
    connection.execute(
        insert(MessageAlias).values(
            queue_id=queue_id,
            node=node,
            account_id=account_id,
            first_queue_id=first.queue_id,
            first_node=first.node,
            at=now,
        )
    )
    return Standing.REPEAT
