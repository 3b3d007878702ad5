"""Who must not be written to: an account's list, for all its mail, one domain or one stream.

Addresses are compared in lower case, their domain in A-labels, so that both forms of an
internationalised address are one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import utcnow
from franking.domains.names import and_above, to_ascii
from franking.mail.envelope import objection
from franking.mail.models import SUPPRESSION_REASONS, SUPPRESSION_SCOPES, Suppression
from franking.reasons import Invalid, NotFound, Taken


@dataclass(frozen=True)
class Suppressed:
    """Why an address gets nothing."""

    reason: str
    created_at: datetime


_columns = Suppression.__table__.c
_ROWS = select(
    _columns.address, _columns.scope, _columns.scope_name, _columns.reason, _columns.created_at
).where(_columns.account_id == bindparam("account_id"))
_OF_ONE = _ROWS.where(_columns.address == bindparam("address"))
_OF_SEVERAL = _ROWS.where(_columns.address.in_(bindparam("addresses", expanding=True)))


def matching(
    session: Session, account_id: int, addresses: Sequence[str], domain: str, stream: str
) -> dict[str, Suppressed]:
    """Those of the addresses, in lower case, that mail from this domain and stream must leave out.

    `domain` in A-labels; what is listed for a domain holds for those below it, too.  Of several
    reasons the narrowest scope's is given.
    """
    written: dict[str, set[str]] = defaultdict(set)
    for address in addresses:
        written[_normal(address)].add(address.lower())
    values = {
        "account_id": account_id,
        "addresses": list(written),
        "address": min(written, default=""),
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


def add(
    session: Session,
    account: Account,
    address: str,
    *,
    reason: str = "manual",
    scope: str = "account",
    scope_name: str = "",
    note: str | None = None,
    now: datetime | None = None,
) -> Suppression:
    """Raises Invalid for an address or a scope that cannot be, Taken when it is there already."""
    if why := objection(address):
        raise Invalid(f"{address!r}: {why}")
    if reason not in SUPPRESSION_REASONS:
        raise Invalid(f"a reason is one of {', '.join(SUPPRESSION_REASONS)}")
    made = Suppression(
        account_id=account.id,
        address=_normal(address),
        scope=scope,
        scope_name=_scope_name(scope, scope_name),
        reason=reason,
        note=note,
        created_at=now or utcnow(),
    )
    if _find(session, made.account_id, made.address, made.scope, made.scope_name) is not None:
        raise Taken(f"{address} is suppressed there already")
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
) -> None:
    """Raises NotFound."""
    name = _scope_name(scope, scope_name)
    found = _find(session, account.id, _normal(address), scope, name)
    if found is None:
        raise NotFound(f"{address} is not suppressed there")
    session.delete(found)
    session.flush()


def search(
    session: Session, account: Account, *, text: str = "", after: str = "", limit: int = 100
) -> Sequence[Suppression]:
    """A page by address; `after` is the last address of the page before."""
    query = select(Suppression).where(
        Suppression.account_id == account.id, Suppression.address > after
    )
    if text:
        query = query.where(Suppression.address.contains(text.lower(), autoescape=True))
    return session.scalars(query.order_by(Suppression.address, Suppression.id).limit(limit)).all()


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


def _scope_name(scope: str, name: str) -> str:
    if scope not in SUPPRESSION_SCOPES:
        raise Invalid(f"a scope is one of {', '.join(SUPPRESSION_SCOPES)}")
    if scope == "account":
        return ""
    if not name:
        raise Invalid(f"say which {scope}")
    return to_ascii(name) if scope == "domain" else name.lower()


def _normal(address: str) -> str:
    """`Jörg@Bücher.Example` → `jörg@xn--bcher-kva.example`; what cannot be, stays as it is."""
    local, _, domain = address.lower().rpartition("@")
    try:
        return f"{local}@{to_ascii(domain)}"
    except Invalid:
        return address.lower()
