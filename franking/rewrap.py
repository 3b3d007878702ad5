"""Seals every sealed value again, with the present master key.

Mail goes on meanwhile: processes that have both keys (`old_master_key`) open either.  A batch is
one transaction, in the order of row numbers; a value that was sealed again is passed over, so what
was interrupted is simply begun again, and a value that somebody has changed meanwhile is left
as it is (`franking.sealing` sealed it with the present key).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from franking import failpoints
from franking.accounts import credentials
from franking.accounts.models import Credential
from franking.db import Database
from franking.domains import dkim
from franking.domains.models import DkimKey
from franking.sealing import Sealer, SealError
from franking.tables import Base
from franking.webhooks import endpoints
from franking.webhooks.models import Endpoint

BATCH = 200  # rows of one transaction


@dataclass(frozen=True)
class Kind:
    """A column of sealed values; `context` says what a row's value is bound to."""

    model: type[Base]
    column: InstrumentedAttribute[Any]
    context: Callable[[Any], str]

    @property
    def name(self) -> str:
        return f"{self.model.__tablename__}.{self.column.key}"


KINDS = (
    Kind(DkimKey, DkimKey.sealed_private_key, lambda key: dkim.row(key.domain_id, key.selector)),
    Kind(Credential, Credential.sealed_secret, lambda row: credentials.context(row.username)),
    Kind(Endpoint, Endpoint.sealed_secret, endpoints.context),
    Kind(Endpoint, Endpoint.sealed_previous, endpoints.context),
)


@dataclass
class Progress:
    """Of one kind: how many values were sealed again, how many were so already, and which rows
    cannot be opened with either key."""

    kind: str
    rewrapped: int = 0
    present: int = 0
    unreadable: list[int] = field(default_factory=list)


def rewrap(database: Database, sealer: Sealer) -> Iterator[Progress]:
    """Everything; yields after each batch, and once at least for each kind."""
    for kind in KINDS:
        progress, last = Progress(kind.name), 0
        while True:
            with database.transaction() as session:
                following = _batch(session, kind, sealer, last, progress)
            yield progress
            if following is None:
                break
            last = following


def _batch(
    session: Session, kind: Kind, sealer: Sealer, last: int, progress: Progress
) -> int | None:
    """The rows after number `last`; returns the last one's number, None when there are none."""
    identity: Any = kind.model.id  # type: ignore[attr-defined]
    query = select(kind.model).where(identity > last, kind.column.is_not(None))
    rows: list[Any] = list(session.scalars(query.order_by(identity).limit(BATCH)))
    for row in rows:
        sealed = getattr(row, kind.column.key)
        if sealer.is_present(sealed):
            progress.present += 1
            continue
        try:
            again = sealer.seal(sealer.open(sealed, kind.context(row)), kind.context(row))
        except SealError:
            progress.unreadable.append(row.id)
            continue
        same = update(kind.model).where(identity == row.id, kind.column == sealed)
        progress.rewrapped += (
            session.connection().execute(same.values({kind.column: again})).rowcount
        )
    failpoints.passing("rewrap.uncommitted")
    return rows[-1].id if rows else None
