"""A domain's row is locked before it is changed, and read anew under the lock.

The ORM writes what differs from what it has read.  Who has read "not verified" and sets that to
None writes nothing, so "verified" that was committed in between would stay.

Whoever needs more than one locks in this order: domains by ID, rows of the relay's zone by name
(`removal.lock_zone`), credentials by ID.  Where they stand among the rows of a message:
`franking.mail.transitions`.

The lock is of the kind that mail does not wait for: a message that is being accepted keeps its
domain's key (foreign key, FOR KEY SHARE), and nobody changes that.  SQLite needs none: whoever
writes is alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from franking.accounts.models import Credential
from franking.domains.models import Domain

FOR_CHANGE = {"key_share": True}  # `with_for_update`: FOR NO KEY UPDATE


def locked(query: Select[Domain]) -> Select[Domain]:
    """Its rows as they are now, and nobody else's until this transaction ends."""
    return query.with_for_update(key_share=True).execution_options(populate_existing=True)


def lock(session: Session, domain: Domain) -> None:
    """The same for a row that was read before."""
    session.flush()  # `refresh` would forget what was not written
    session.refresh(domain, with_for_update=FOR_CHANGE)


def credentials_of(session: Session, account_id: int) -> Sequence[Credential]:
    """All of an account, revoked ones included, locked likewise."""
    query = select(Credential).where(Credential.account_id == account_id).order_by(Credential.id)
    query = query.with_for_update(of=Credential, key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).all()
