"""What the statements of every day read of a year of mail, on PostgreSQL (`tests/history.py`).

`hot` are the functions that ask for it, as panel, milter and workers do; `touched` is how many rows
their plans read, which is what must not grow with the past.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import event as hooks
from sqlalchemy import text
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.mail import events, messages, reading, refusals, retention, suppressions
from franking.mail.events import Attempt
from franking.mail.messages import Filter
from franking.mail.models import Event, Message
from tests.history import DAYS, NODE, Past

SMALL = 10_000  # rows; to read so few from end to end may be right

Ask = Callable[[Session], object]


def hot(database: Database, past: Past) -> dict[str, Ask]:
    """What is asked for all day, of the account that has half of all mail."""
    with database.session() as session:
        session.expire_on_commit = False
        account = session.get_one(Account, past.account_id)
        plenty = messages.search(session, account, Filter(), None, 50)
        middle = messages.search(
            session, account, Filter(until=past.now - timedelta(days=DAYS // 2)), None, 50
        )
        message = middle.rows[0]
        least = next(k for k in reversed(retention.of_accounts(session)) if k.account_id)
        end = session.execute(text("SELECT xid, id FROM event ORDER BY xid DESC, id DESC LIMIT 1"))
        place = reading.Place(*end.one())
        session.expunge_all()
    early = reading.Place(place.xid - past.messages // 2, 0)
    asked: dict[str, Ask] = {
        "a deep page": lambda s: messages.search(s, account, Filter(), middle.next_cursor, 50),
        "the first page": lambda s: messages.search(s, account, Filter(), plenty.next_cursor, 50),
        "timeline": lambda s: messages.timeline(s, message),
        "recipients": lambda s: messages.recipients(s, message),
        "one message": lambda s: messages.get(s, account, message.queue_id),
        "one event": lambda s: s.get(Event, place.event_id),
        "refusals": lambda s: refusals.search(s, account, refusals.Filter()),
        "problems": lambda s: messages.recent_events(
            s, account, ("rejected", "bounced", "expired")
        ),
        "counts": lambda s: messages.counts_since(s, account.id, past.now - timedelta(minutes=30)),
        "readers": lambda s: reading.following(s, early, 500),
        "readers at the end": lambda s: reading.following(s, place, 500),
        "suppressions": lambda s: suppressions.matching(
            s,
            account.id,
            ["user1@example.org", "nobody@example.org"],
            "d0.example",
            "",
            now=past.now,
        ),
        "an attempt": lambda s: events.record(
            s, NODE, [Attempt(message.queue_id, "monitor@example.org", "deferred", past.now, 451)]
        ),
        "retention of events": lambda s: retention.delete_events(s, least, past.now, 500),
        "retention of messages": lambda s: retention.delete_messages(s, least, past.now, 100),
    }
    for name, wanted in _filters(past, message).items():
        asked[name] = lambda s, wanted=wanted: messages.search(s, account, wanted)  # type: ignore[misc]
    return asked


def _filters(past: Past, message: Message) -> dict[str, Filter]:
    return {
        "by status": Filter(status="bounced"),
        "by a rare status": Filter(status="deferred"),
        "by a status of none": Filter(status="expired"),
        "by recipient": Filter(recipient="user12@example.org"),
        "by a frequent recipient": Filter(recipient="monitor@example.org"),
        "by a recipient of none": Filter(recipient="nobody@example.org"),
        "by sender": Filter(sender="news@d0.example"),
        "by a rare sender": Filter(sender="newsrare@d0.example"),
        "by a sender of none": Filter(sender="nobody@d0.example"),
        "by tag": Filter(tag="spring"),
        "by a rare tag": Filter(tag="rare"),
        "by a tag of none": Filter(tag="nothing"),
        "by credential": Filter(credential=past.username),
        "by a rare credential": Filter(credential=past.rare_username),
        "by queue ID": Filter(text=message.queue_id),
        "by Message-ID": Filter(text=message.message_id),
        "by a Message-ID of none": Filter(text="<nothing@example.org>"),
        "by time": Filter(since=past.since, until=past.since + timedelta(days=30)),
        "by recipient and status": Filter(recipient="user12@example.org", status="bounced"),
        "by tag and status": Filter(tag="rare", status="delivered"),
    }


def touched(database: Database, ask: Ask, *, small: bool = False) -> tuple[int, list[str]]:
    """Rows that its statements read, and the partitions that they read from end to end.

    `small`: there is so little of it all that reading from end to end is right; so only that is
    found for which there is no index.
    """
    statements: list[tuple[str, Any]] = []

    def remember(_c: Any, _cursor: Any, statement: str, values: Any, _x: Any, many: bool) -> None:
        statements.append((statement, values[0] if many else values))

    with database.session() as session:
        hooks.listen(database.engine, "before_cursor_execute", remember)
        try:
            ask(session)
        finally:
            hooks.remove(database.engine, "before_cursor_execute", remember)
        session.rollback()
        whole: list[str] = []
        rows = 0
        for statement, values in statements:
            if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                if small:
                    session.execute(text("SET LOCAL enable_seqscan = off"))
                explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
                found = session.connection().exec_driver_sql(explain, values).scalar_one()
                plan = found if isinstance(found, list) else json.loads(found)
                more, read = _read(plan[0]["Plan"])
                rows, whole = rows + more, whole + read
                session.rollback()
    return rows, whole


def _read(node: dict[str, Any]) -> tuple[int, list[str]]:
    whole: list[str] = []
    rows = 0
    if node["Node Type"].endswith("Scan") and "Plans" not in node:
        removed = node.get("Rows Removed by Filter", 0) + node.get(
            "Rows Removed by Index Recheck", 0
        )
        rows = int((node["Actual Rows"] + removed) * node["Actual Loops"])
        if node["Node Type"] == "Seq Scan" and rows > SMALL:
            whole = [node["Relation Name"]]
    for inner in node.get("Plans", ()):
        more, read = _read(inner)
        rows, whole = rows + more, whole + read
    return rows, whole
