"""A year of mail in minutes, on PostgreSQL: the rows that it leaves behind.

One statement writes each table's rows of a chunk, because sending them would take days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from franking import partitions, patience
from franking.db import Database
from franking.money.terms import Retention, Terms, stored
from tests import factories

ACCOUNTS = 10  # the first has half of the mail
DAYS = 360
EVENTS = 20  # of each message: many deferrals
CHUNK = 250_000  # messages of one statement
NODE = "n1"
FREQUENT, RARE = 20, 20_000  # every so manieth message

_ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_PREFIX = f"substr('{_ALPHABET}', (s / {{0}} % 52)::int + 1, 1)"
_MAIL = f"""
CREATE TEMPORARY TABLE mail ON COMMIT DROP AS WITH numbered AS (
    SELECT n, at, extract(epoch FROM at)::bigint AS s,
           CASE WHEN n % 2 = 0 THEN 0 ELSE n / 2 % {ACCOUNTS - 1} + 1 END AS account
    FROM generate_series(CAST(:first AS bigint), :last) AS n,
         LATERAL (SELECT CAST(:since AS timestamptz) + n * CAST(:step AS interval) AS at) t
)
SELECT n, at, account, a.account_id, a.credential_id, a.rare_id, a.domain_id,
           {" || ".join(_PREFIX.format(52**power) for power in range(5, -1, -1))}
               || lpad((n % 10000)::text, 4, '0') || 'z' || n AS queue_id,
           'news' || CASE WHEN n % {RARE} = 2 THEN 'Rare' ELSE '' END || '@d' || account
               || '.example' AS sender,
           CASE WHEN n % {FREQUENT} = 4 THEN 'Monitor@example.org'
                ELSE 'user' || n / 8 || '@example.org' END AS recipient,
           CASE WHEN n % 100 = 6 THEN 'bounced' WHEN n % 5000 = 8 THEN 'deferred'
                ELSE 'delivered' END AS status,
           CASE WHEN n % {RARE} = 2 THEN 'rare' WHEN n % {FREQUENT} = 0 THEN 'spring' END AS tag
    FROM numbered JOIN seeded a ON a.number = account
"""
_MESSAGE = f"""
INSERT INTO message (queue_id, node, account_id, credential_id, domain_id, from_address,
    envelope_sender, subject, message_id, size, recipient_count, tags, status, cost, signatures,
    metadata, mode, accepted_at)
SELECT queue_id, '{NODE}', account_id, CASE WHEN n % {RARE} = 2 THEN rare_id ELSE credential_id END,
    domain_id, sender, sender, 'Your order ' || n, '<' || n || '.' || queue_id || '@shop.example>',
    4000, 1, CASE WHEN tag IS NULL THEN '[]' ELSE '["' || tag || '"]' END::json, status, 800, '[]',
    '{{}}', 'live', at FROM mail"""
_RECIPIENT = f"""
INSERT INTO message_recipient (queue_id, node, address, status, attempts, final_at)
SELECT queue_id, '{NODE}', recipient, status, 1, at + interval '3 s' FROM mail"""
_TAG = f"""
INSERT INTO message_tag (queue_id, node, tag, account_id, accepted_at)
SELECT queue_id, '{NODE}', tag, account_id, at FROM mail WHERE tag IS NOT NULL"""
_EVENT = f"""
INSERT INTO event (account_id, credential_id, node, queue_id, recipient, sender, kind, attempt, at,
    smtp_code, enhanced_code, reply, remote_host, remote_ip, delay, detail, xid)
SELECT account_id, credential_id, '{NODE}', queue_id, recipient, sender, kind, attempt,
    at + attempt * interval '2 s', code, NULL, reply, host, NULL, 1.5, '{{}}', n - 1000000000
FROM mail, LATERAL (
    SELECT 'accepted', 0, NULL, NULL, NULL
    UNION ALL SELECT 'deferred', attempt, 451, '4.7.1 Greylisted', 'mx.example.org'
    FROM generate_series(1, {EVENTS} - 2) AS attempt
    UNION ALL SELECT status, {EVENTS} - 1, 250, '250 2.0.0 Ok: queued as 4XyZ', 'mx.example.org'
) AS e(kind, attempt, code, reply, host) ORDER BY n, attempt"""
_REFUSAL = f"""
INSERT INTO event (account_id, credential_id, node, sender, recipient, kind, attempt, at, smtp_code,
    reply, detail, xid)
SELECT account_id, credential_id, '{NODE}', sender, recipient, 'rejected', 0, at, 550, 'no',
    '{{"reply_key": "suppressed"}}', n - 1000000000 FROM mail WHERE n % 50 = 10"""
_SUPPRESSION = """
INSERT INTO suppression (account_id, address, scope, scope_name, reason, created_at)
SELECT account_id, recipient, 'account', '', 'hard_bounce', at FROM mail WHERE n % 100 = 6
ON CONFLICT DO NOTHING"""
_SEEDED = """
CREATE TABLE seeded (number bigint PRIMARY KEY, account_id bigint, credential_id bigint,
                     rare_id bigint, domain_id bigint)"""


@dataclass(frozen=True)
class Past:
    """`since` is when the first message came; `messages` have come since, the last one at `now`."""

    messages: int
    since: datetime
    now: datetime
    account_id: int
    username: str
    rare_username: str
    domain_id: int


def make(
    database: Database, count: int, now: datetime, say: Callable[[str], object] = lambda _: None
) -> Past:
    """`count` messages, and `EVENTS` of each; indexes and figures come at the end."""
    since = now - timedelta(days=DAYS)
    with partitions.at_length(database) as session:
        past = _open(session, count, since, now)
        months(session, since)
        indexes = list(_indexes(session))
        for name, _definition in indexes:
            session.execute(text(f"DROP INDEX {name}"))
    step = (now - since) / (count + 1)
    for first in range(1, count + 1, CHUNK):
        values = {"first": first, "last": min(first + CHUNK - 1, count), "since": since,
                  "step": step}  # fmt: skip
        with partitions.at_length(database) as session:
            session.execute(text("SET LOCAL session_replication_role = replica"))
            session.execute(text("SET LOCAL synchronous_commit = off"))
            session.execute(text(_MAIL), values)
            for statement in (_MESSAGE, _RECIPIENT, _TAG, _EVENT, _REFUSAL, _SUPPRESSION):
                session.execute(text(statement))
        say(f"{values['last']} messages")
    for name, definition in indexes:
        with partitions.at_length(database) as session:
            session.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
            session.execute(text(definition))
        say(name)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        with patience.at_length(partitions.LONGEST):
            connection.execute(text("VACUUM (ANALYZE)"))
    return past


def months(session: Session, since: datetime) -> None:
    """The migration makes those from now on."""
    for table in partitions.TABLES:
        there = partitions.months(session.connection(), table)
        month = partitions.month_of(since)
        while month < there[0]:
            session.execute(text(partitions.creation(table, month)))
            month = partitions.month_after(month)


def _open(session: Session, count: int, since: datetime, now: datetime) -> Past:
    """Accounts, each with two credentials; the last ones have a plan that keeps less."""
    session.execute(text(_SEEDED))
    first: list[Any] = []
    for number in range(ACCOUNTS):
        owner = factories.funded(session, amount=10**12)
        owner.plan.terms = stored(Terms(retention=Retention(messages=365, events=365)))
        usual = factories.credential(session, owner, "usual").credential
        rare = factories.credential(session, owner, "rare").credential
        domain = factories.verified_domain(session, owner, f"d{number}.example")
        session.flush()
        values = {"n": number, "a": owner.id, "c": usual.id, "r": rare.id, "d": domain.id}
        session.execute(text("INSERT INTO seeded VALUES (:n, :a, :c, :r, :d)"), values)
        first = first or [owner.id, usual.username, rare.username, domain.id]
    owner.plan.terms = stored(Terms(retention=Retention(messages=30, events=30)))
    return Past(count, since, now, *first)


def _indexes(session: Session) -> Iterator[tuple[str, str]]:
    """Those that are no constraint's, with the statements that make them."""
    query = text(
        "SELECT i.relname, pg_get_indexdef(i.oid) FROM pg_index x"
        " JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = to_regclass(:table)"
        " AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = i.oid)"
    )
    for table in partitions.TABLES:
        for name, definition in session.execute(query, {"table": table}).all():
            yield name, definition.replace(" ON ONLY ", " ON ")
