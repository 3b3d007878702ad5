"""Migration 0005 on PostgreSQL: tables become partitioned ones, with the rows that they have.

A partitioned table's unique constraints contain what it is partitioned by.  So `event` has no
primary key (its `id` is unique because a sequence gives it), and keeps the constraint that events
are deduplicated by.  Nothing refers to `message` any more: a partition of a table that others refer
to cannot be dropped without reading those.  What is written with a message, and goes with it, is
said by `franking.mail.acceptance` and `worker.housekeeping.retention`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from franking import partitions

QUEUE_IDS = {
    "message": ["queue_id"],
    "message_recipient": ["queue_id"],
    "message_tag": ["queue_id"],
    "event": ["queue_id"],
    "held_message": ["queue_id"],
    "idempotency_key": ["queue_id"],
    "message_alias": ["queue_id", "first_queue_id"],
    "soft_failure": ["queue_id"],
    "reservation": ["queue_id"],
    "endpoint_delivery": ["queue_id"],
    "address_block": ["queue_id"],
}
REFERRING = {
    "message_recipient": "fk_message_recipient_queue_id_node_message",
    "message_tag": "fk_message_tag_queue_id_node_message",
    "held_message": "fk_held_message_queue_id_node_message",
}


def partition_all() -> None:
    for table, key in REFERRING.items():
        op.drop_constraint(key, table, type_="foreignkey")
    for table, columns in QUEUE_IDS.items():
        changes = (f'ALTER COLUMN {each} TYPE varchar(32) COLLATE "C"' for each in columns)
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
    first = _first_month()
    for table in partitions.TABLES:
        _partition(table, first)
    op.execute("CREATE INDEX ix_event_id ON event (id)")


def _partition(table: str, first: date) -> None:
    """The constraints and indexes, as they are by now, come behind the rows: that is faster."""
    constraints, indexes = _definitions(table)
    old = f"{table}_before"
    op.execute(f"ALTER TABLE {table} RENAME TO {old}")
    op.execute(
        f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS) PARTITION BY RANGE (queue_id)"
    )
    for sequence in _sequences(old):
        op.execute(f"ALTER SEQUENCE {sequence} OWNED BY {table}.id")
    for month in _months(first):
        op.execute(partitions.creation(table, month))
    op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.execute(f"INSERT INTO {table} SELECT * FROM {old}")  # noqa: S608 (names of ours)
    op.execute(f"DROP TABLE {old}")
    for name, definition in constraints:
        if name != "pk_event":
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for definition in indexes:
        op.execute(definition)


def _definitions(table: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Constraints as (name, definition), and the statements that make the other indexes."""
    constraints = _rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = to_regclass(:table) AND contype IN ('p', 'u', 'c', 'f')"
        " ORDER BY conname",
        table,
    )
    indexes = _rows(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = to_regclass(:table)"
        " AND indexrelid NOT IN (SELECT conindid FROM pg_constraint"
        " WHERE conrelid = to_regclass(:table)) ORDER BY 1",
        table,
    )
    return [(row[0], row[1]) for row in constraints], [row[0] for row in indexes]


def _sequences(table: str) -> list[str]:
    found = _rows(
        "SELECT s.relname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
        " WHERE d.refobjid = to_regclass(:table)",
        table,
    )
    return [row[0] for row in found]


def _rows(query: str, table: str) -> list[Any]:
    return list(op.get_bind().execute(sa.text(query), {"table": table}).all())


def _first_month() -> date:
    oldest = op.get_bind().execute(sa.text("SELECT min(accepted_at) FROM message")).scalar()
    return partitions.month_of(min(oldest or datetime.now(UTC), datetime.now(UTC)))


def _months(first: date) -> list[date]:
    last = partitions.month_of(datetime.now(UTC))
    for _ in range(partitions.AHEAD):
        last = partitions.month_after(last)
    found = [first]
    while found[-1] < last:
        found.append(partitions.month_after(found[-1]))
    return found
