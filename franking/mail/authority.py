"""What a logged-in client may do, as one look-up per question.

policyd asks at RCPT, milterd at the end of the message.  Answers are plain values, so that they
outlive the session that read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, Credential
from franking.accounts.rules import Rules, effective
from franking.domains.models import DkimKey, Domain
from franking.domains.names import and_above
from franking.money.models import Balance, Plan, PriceTier


@dataclass(frozen=True)
class Authority:
    """A credential's standing; money in micro-units.

    `credential_ended`: revoked or expired.  `sending_domains` empty: no restriction.
    """

    account_id: int
    account_status: str
    suspended_reason: str | None
    credential_id: int
    credential_ended: bool
    mode: str
    stream: str
    sending_domains: list[str]
    price_tier_id: int
    unit_price: int
    available: int
    rules: Rules


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
        or_(
            _credentials.revoked_at.is_not(None),
            and_(
                _credentials.expires_at.is_not(None),
                _credentials.expires_at <= bindparam("moment"),
            ),
        ),
        _credentials.mode,
        _credentials.stream,
        _credentials.sending_domains,
        _tiers.c.id,
        _tiers.c.unit_price,
        Balance.__table__.c.available,
        Plan.__table__.c.rules,
        _credentials.rules,
    )
    .select_from(Credential.__table__)
    .join(Account.__table__, _accounts.id == _credentials.account_id)
    .join(Plan.__table__, Plan.__table__.c.id == _accounts.plan_id)
    .join(Balance.__table__, Balance.__table__.c.account_id == _accounts.id)
    .outerjoin(_tiers, _tiers.c.id == _CURRENT_TIER)
    .where(_credentials.username == bindparam("username"))
)
_domains, _keys = Domain.__table__.c, DkimKey.__table__.c
_SIGNING_DOMAINS = (
    select(
        _domains.id,
        _domains.account_id,
        _domains.name,
        _domains.allow_subdomains,
        _keys.id,
        _keys.selector,
        _keys.algorithm,
        _keys.sealed_private_key,
    )
    .select_from(Domain.__table__)
    .join(DkimKey.__table__, _keys.domain_id == _domains.id)
    .where(
        _domains.name.in_(bindparam("names", expanding=True)),
        _domains.verified_at.is_not(None),
        _keys.active,
    )
    .order_by(func.length(_domains.name).desc(), _keys.id)
)


def authority(session: Session, username: str, moment: datetime) -> Authority | None:
    """The standing of the credential with this SMTP user name; None when there is none such.

    Raises NoPrice.
    """
    asked = {"username": username, "moment": moment}
    row = session.connection().execute(_AUTHORITY, asked).one_or_none()
    if row is None:
        return None
    if row.unit_price is None:
        raise NoPrice(f"the plan of account {row[0]} has no price at {moment}")
    values: list[Any] = [*row[:-2], effective(row[-2], row[-1])]
    return Authority(*values)


def signing_domain(session: Session, account_id: int, name: str) -> SigningDomain | None:
    """The verified domain of this account that mail from `name` (A-labels, lower case) is under.

    That is `name` itself, or the closest domain above it if its owner has allowed subdomains.  A
    closer one that another account has verified wins, so that a parent cannot speak for it.
    """
    found = session.connection().execute(_SIGNING_DOMAINS, {"names": and_above(name)}).all()
    rows = [row for row in found if row.name == found[0].name]
    if not rows or rows[0].account_id != account_id:
        return None
    closest = rows[0]
    if closest.name != name and not closest.allow_subdomains:
        return None
    return SigningDomain(closest.id, closest.name, tuple(SigningKey(*row[4:]) for row in rows))
