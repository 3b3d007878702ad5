"""What a logged-in client may do, as one look-up per question.

policyd asks at RCPT, milterd at the end of the message.  Answers are plain values, so that they
outlive the session that read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, Credential
from franking.domains.models import DkimKey, Domain
from franking.money.models import Balance, PriceTier


@dataclass(frozen=True)
class Authority:
    """A credential's standing; money in micro-units."""

    account_id: int
    account_status: str
    suspended_reason: str | None
    credential_id: int
    credential_revoked: bool
    mode: str
    price_tier_id: int
    unit_price: int
    available: int


class NoPrice(Exception):
    """The operator has not said what a message costs: our trouble, not the client's."""


@dataclass(frozen=True)
class SigningKey:
    id: int
    selector: str
    algorithm: str
    sealed_private_key: bytes


@dataclass(frozen=True)
class SigningDomain:
    """A domain that the account has verified, with the keys that sign for it."""

    domain_id: int
    name: str
    keys: tuple[SigningKey, ...]


_accounts, _credentials = Account.__table__.c, Credential.__table__.c
_tiers, _newer = PriceTier.__table__, PriceTier.__table__.alias()
_CURRENT_TIER = (
    select(_newer.c.id)
    .where(_newer.c.plan_id == _accounts.plan_id, _newer.c.starts_at <= bindparam("moment"))
    .order_by(_newer.c.starts_at.desc())
    .limit(1)
    .correlate(Account.__table__)
    .scalar_subquery()
)
_AUTHORITY = (
    select(
        _accounts.id,
        _accounts.status,
        _accounts.suspended_reason,
        _credentials.id,
        _credentials.revoked_at.is_not(None),
        _credentials.mode,
        _tiers.c.id,
        _tiers.c.unit_price,
        Balance.__table__.c.available,
    )
    .select_from(Credential.__table__)
    .join(Account.__table__, _accounts.id == _credentials.account_id)
    .join(Balance.__table__, Balance.__table__.c.account_id == _accounts.id)
    .outerjoin(_tiers, _tiers.c.id == _CURRENT_TIER)
    .where(_credentials.username == bindparam("username"))
)
_domains, _keys = Domain.__table__.c, DkimKey.__table__.c
_SIGNING_DOMAIN = (
    select(_domains.id, _keys.id, _keys.selector, _keys.algorithm, _keys.sealed_private_key)
    .select_from(Domain.__table__)
    .join(DkimKey.__table__, _keys.domain_id == _domains.id)
    .where(
        _domains.account_id == bindparam("account_id"),
        _domains.name == bindparam("name"),
        _domains.verified_at.is_not(None),
        _keys.active,
    )
    .order_by(_keys.id)
)


def authority(session: Session, username: str, moment: datetime) -> Authority | None:
    """The standing of the credential with this SMTP user name; None when there is none such.

    Raises NoPrice.
    """
    values = {"username": username, "moment": moment}
    row = session.connection().execute(_AUTHORITY, values).one_or_none()
    if row is None:
        return None
    if row[6] is None:
        raise NoPrice(f"the plan of account {row[0]} has no price at {moment}")
    return Authority(*row)


def signing_domain(session: Session, account_id: int, name: str) -> SigningDomain | None:
    """`name` (A-labels, lower case) when this account has it verified, else None."""
    values = {"account_id": account_id, "name": name}
    rows = session.connection().execute(_SIGNING_DOMAIN, values).all()
    if not rows:
        return None
    return SigningDomain(rows[0][0], name, tuple(SigningKey(*row[1:]) for row in rows))
