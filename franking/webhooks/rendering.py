"""From events to rows of the outbox: each by itself, or several in one request.

An event by itself is the document of `franking.mail.published`, its `webhook-id` is the event's
name.  An endpoint with batches gets `{"type": "batch", "id", "timestamp", "events": […]}` always;
a repeat may come in other batches, so its receivers go by the events' own names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from franking.mail import published
from franking.webhooks.filters import Wanting

BATCH = "batch"


def rendered(
    rows: Sequence[Any], wanting: Iterable[Wanting], now: datetime
) -> list[dict[str, Any]]:
    """Rows of `endpoint_delivery`.  `rows` as `franking.mail.reading` gives them, all of the
    account that these endpoints belong to."""
    documents: dict[int, dict[str, Any]] = {}
    texts: dict[int, str] = {}  # the same for all endpoints
    made = []
    for each in wanting:
        wanted = [row for row in rows if each.wants(row)]
        for row in wanted:
            if row.id not in documents:
                documents[row.id] = published.document(row)
        if each.batch > 1:
            made += [_batch(each, some, documents, now) for some in _parts(wanted, each.batch)]
            continue
        for row in wanted:
            if row.id not in texts:
                texts[row.id] = _text(documents[row.id])
            made.append(_single(each, row, texts[row.id], now))
    return made


def _parts(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _single(wanting: Wanting, row: Any, text: str, now: datetime) -> dict[str, Any]:
    about = {"queue_id": row.queue_id, "node": row.node if row.queue_id else None}
    return _row(wanting, published.name(row.id), row.kind, text, now) | about


def _batch(
    wanting: Wanting, rows: Sequence[Any], documents: dict[int, dict[str, Any]], now: datetime
) -> dict[str, Any]:
    name = f"{BATCH}_{rows[0].id}_{rows[-1].id}_{wanting.endpoint_id}"
    whole = {
        "type": BATCH, "id": name, "timestamp": now.isoformat(),
        "events": [documents[row.id] for row in rows],
    }  # fmt: skip
    return _row(wanting, name, BATCH, _text(whole), now) | {"events": len(rows)}


def _row(wanting: Wanting, name: str, kind: str, body: str, now: datetime) -> dict[str, Any]:
    return {
        "endpoint_id": wanting.endpoint_id, "webhook_id": name, "kind": kind, "body": body,
        "events": 1, "queue_id": None, "node": None, "attempts": 0, "due_at": now,
        "created_at": now,
    }  # fmt: skip


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
