"""What every table is made of: the declarative base, names of constraints, instants, row numbers.

Models import this and nothing else of the database; `franking.db` opens it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, registry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

NAMES = {  # Alembic can only alter what has a name
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite numbers rows by itself only when the column is called INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")

# Long queue IDs begin with the time, and are compared octet by octet: partitions go by that.
QueueId = String(32).with_variant(String(32, collation="C"), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware UTC in Python; TIMESTAMPTZ on PostgreSQL, naive UTC text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime is no instant")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CurrentTransaction(FunctionElement[int]):
    """The number of the transaction that writes a row; 0 where one at a time writes anyway."""

    type = BigInteger()
    inherit_cache = True


@compiles(CurrentTransaction)
def _nothing(_element: CurrentTransaction, _compiler: SQLCompiler, **_: Any) -> str:
    return "0"


@compiles(CurrentTransaction, "postgresql")
def _xid(_element: CurrentTransaction, _compiler: SQLCompiler, **_: Any) -> str:
    return "(pg_current_xact_id()::text::bigint)"


class Base(DeclarativeBase):
    # Not as attributes of their own: Flask-SQLAlchemy copies this class, and may not find both.
    registry = registry(
        metadata=MetaData(naming_convention=NAMES), type_annotation_map={datetime: UtcDateTime}
    )


def utcnow() -> datetime:
    return datetime.now(UTC)
