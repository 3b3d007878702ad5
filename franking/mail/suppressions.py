"""Who must not be written to: an account's list, for all its mail, one domain or one stream.

Addresses are compared in lower case, their domain in A-labels, so that both forms of an
internationalised address are one.  An entry whose time is over is as if it were not there;
housekeeping deletes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, and_, bindparam, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import utcnow
from franking.domains.names import and_above, to_ascii
from franking.mail.envelope import objection
from franking.mail.models import SUPPRESSION_REASONS, SUPPRESSION_SCOPES, Suppression
from franking.reasons import Invalid, NotFound, Taken
from franking.tables import UtcDateTime


@dataclass(frozen=True)
class Suppressed:
    """Why an address gets nothing."""

    reason: str
    created_at: datetime


_columns = Suppression.__table__.c
_MOMENT = bindparam("moment", type_=UtcDateTime)
_HOLDS = or_(_columns.expires_at.is_(None), _columns.expires_at > _MOMENT)
_ROWS = select(
    _columns.address, _columns.scope, _columns.scope_name, _columns.reason, _columns.created_at
).where(_columns.account_id == bindparam("account_id"), _HOLDS)
_OF_ONE = _ROWS.where(_columns.address == bindparam("address"))
_OF_SEVERAL = _ROWS.where(_columns.address.in_(bindparam("addresses", expanding=True)))
KEY = ("account_id", "address", "scope", "scope_name")
_REST = ("reason", "note", "created_at", "expires_at", "event_id")


def _put(insert: Any) -> Any:
    """What is over gives way; what holds, only to what lasts longer, and by hand never."""
    made = insert(Suppression.__table__).values(
        {name: bindparam(name, type_=_columns[name].type) for name in (*KEY, *_REST)}
    )
    new = made.excluded
    longer = or_(new.expires_at.is_(None), new.expires_at > _columns.expires_at)
    statement = made.on_conflict_do_update(
        index_elements=KEY,
        set_={name: new[name] for name in _REST},
        where=and_(
            _columns.expires_at.is_not(None),
            or_(_columns.expires_at <= _MOMENT, and_(_columns.reason != "manual", longer)),
        ),
    )
    return statement.execution_options(preserve_rowcount=True)


_PUT = {"sqlite": _put(sqlite.insert), "postgresql": _put(postgresql.insert)}


def matching(
    session: Session,
    account_id: int,
    addresses: Sequence[str],
    domain: str,
    stream: str,
    *,
    now: datetime,
) -> dict[str, Suppressed]:
    """Those of the addresses, in lower case, that mail from this domain and stream must leave out.

    `domain` in A-labels; what is listed for a domain holds for those below it, too.  Of several
    reasons the narrowest scope's is given.
    """
    written: dict[str, set[str]] = defaultdict(set)
    for address in addresses:
        written[normal(address)].add(address.lower())
    values = {
        "account_id": account_id,
        "addresses": list(written),
        "address": min(written, default=""),
        "moment": now,
    }
    # One is policyd's question; an expanding IN would cost it a third more.
    statement = _OF_SEVERAL if len(written) > 1 else _OF_ONE
    rows = session.connection().execute(statement, values).all()
    # From the widest to the narrowest; few addresses are listed at all, fewer more than once.
    scopes = [("account", ""), *(("domain", name) for name in reversed(and_above(domain)))]
    scopes.append(("stream", stream))
    return {
        form: Suppressed(row.reason, row.created_at)
        for scope in scopes
        for row in rows
        if (row.scope, row.scope_name) == scope
        for form in written[row.address]
    }


def put(session: Session, rows: Collection[Mapping[str, Any]], now: datetime) -> int:
    """Write these entries, complete rows as they are stored; returns how many that has changed.

    An entry that is there already stays, unless its time is over or the new one lasts longer.
    Rows are taken in the order of their keys, so that no two who write the same ones wait for
    each other.
    """
    if not rows:
        return 0
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in KEY))
    connection = session.connection()
    done = connection.execute(
        _PUT[connection.dialect.name], [{**row, "moment": now} for row in ordered]
    )
    return cast("CursorResult[Any]", done).rowcount


def add(
    session: Session,
    account: Account,
    address: str,
    *,
    reason: str = "manual",
    scope: str = "account",
    scope_name: str = "",
    note: str | None = None,
    expires_at: datetime | None = None,
    now: datetime | None = None,
) -> Suppression:
    """Raises Invalid for an address or a scope that cannot be, Taken when it is there already."""
    moment = now or utcnow()
    if why := objection(address):
        raise Invalid.of("address", f"{address!r}: {why}")
    if reason not in SUPPRESSION_REASONS:
        raise Invalid.of("reason", f"a reason is one of {', '.join(SUPPRESSION_REASONS)}")
    if expires_at is not None and expires_at <= moment:
        raise Invalid.of("expires_at", "that is over already")
    row = {
        "account_id": account.id,
        "address": normal(address),
        "scope": scope,
        "scope_name": the_scope(scope, scope_name),
        "reason": reason,
        "note": note,
        "created_at": moment,
        "expires_at": expires_at,
        "event_id": None,
    }
    there = _find(session, account.id, *(str(row[name]) for name in KEY[1:]))
    if there is not None and (there.expires_at is None or there.expires_at > moment):
        raise Taken(f"{address} is suppressed there already")
    if there is not None:
        session.delete(there)
        session.flush()
    made = Suppression(**row)
    session.add(made)
    session.flush()
    return made


def remove(
    session: Session,
    account: Account,
    address: str,
    *,
    scope: str = "account",
    scope_name: str = "",
) -> Suppression:
    """Returns what is gone.  Raises NotFound."""
    name = the_scope(scope, scope_name)
    found = _find(session, account.id, normal(address), scope, name)
    if found is None:
        raise NotFound(f"{address} is not suppressed there")
    session.delete(found)
    session.flush()
    return found


def remove_several(
    session: Session, account: Account, numbers: Collection[int]
) -> Sequence[Suppression]:
    """Returns what is gone: those of these entries that were (still) the account's."""
    found = several(session, account, numbers)
    # One after the other, in the order in which `put` locks them.
    for row in sorted(found, key=lambda each: (each.address, each.scope, each.scope_name)):
        session.execute(delete(Suppression).where(Suppression.id == row.id))
    return found


def several(session: Session, account: Account, numbers: Collection[int]) -> Sequence[Suppression]:
    """The account's entries with these IDs, by address."""
    return session.scalars(
        select(Suppression)
        .where(Suppression.account_id == account.id, Suppression.id.in_(numbers))
        .order_by(Suppression.address, Suppression.id)
    ).all()


def _find(
    session: Session, account_id: int, address: str, scope: str, scope_name: str
) -> Suppression | None:
    """The row itself, by values as they are stored."""
    return session.scalar(
        select(Suppression).where(
            Suppression.account_id == account_id,
            Suppression.address == address,
            Suppression.scope == scope,
            Suppression.scope_name == scope_name,
        )
    )


def the_scope(scope: str, name: str) -> str:
    """The name as it is stored, empty for the whole account.  Raises Invalid."""
    if scope not in SUPPRESSION_SCOPES:
        raise Invalid.of("scope", f"a scope is one of {', '.join(SUPPRESSION_SCOPES)}")
    if scope == "account":
        return ""
    if not name:
        raise Invalid.of("scope_name", f"say which {scope}")
    return to_ascii(name) if scope == "domain" else name.lower()


def normal(address: str) -> str:
    """`Jörg@Bücher.Example` → `jörg@xn--bcher-kva.example`; what cannot be, stays as it is."""
    local, _, domain = address.lower().rpartition("@")
    try:
        return f"{local}@{to_ascii(domain)}"
    except Invalid:
        return address.lower()
