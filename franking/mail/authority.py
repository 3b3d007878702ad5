"""What a logged-in client may do, as one look-up per question.

policyd asks at RCPT, milterd at the end of the message.  Answers are plain values, so that they
outlive the session that read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, Credential
from franking.accounts.rules import Rules, effective
from franking.domains.models import DkimKey, Domain
from franking.domains.names import and_above
from franking.mail.models import Stream
from franking.money.billing.models import BillingSettings
from franking.money.models import Balance, Plan, PriceList
from franking.money.periods import day_of, month_of
from franking.money.pricing import Tariff, tariff
from franking.money.reservations import Bounds
from franking.money.terms import Terms, terms_of
from franking.reasons import CapReached, InsufficientBalance


@dataclass(frozen=True)
class Funds:
    """An account's money and what of it was used; micro-units.

    `volume`: units of this month.  `spent`: today, by the account and by the credential.
    """

    available: int
    volume: int = 0
    spent: int = 0
    spent_by_credential: int = 0
    daily_cap: int | None = None


@dataclass(frozen=True)
class Authority:
    """A credential's standing.

    `credential_ended`: revoked or expired.  `sending_domains` empty: no restriction.  `bulk`: its
    stream is marked so.
    """

    account_id: int
    account_status: str
    suspended_reason: str | None
    credential_id: int
    credential_ended: bool
    mode: str
    stream: str
    sending_domains: list[str]
    rules: Rules
    terms: Terms
    tariff: Tariff
    funds: Funds
    bulk: bool = False

    def units(self, recipients: int) -> int:
        """How many of them a message to so many recipients is."""
        return recipients if self.terms.billing_unit == "recipient" else 1

    def bounds(self) -> Bounds:
        """What a message may not exceed."""
        cap = self.rules.daily_spend
        return Bounds(
            self.terms.floor(self.tariff.paid_price(self.funds.volume)),
            self.funds.daily_cap,
            None if cap is None else (self.credential_id, cap),
        )

    def check_funds(self, recipients: int) -> None:
        """Raises InsufficientBalance or CapReached when there is no money for such a message at
        present: an early answer, not the last.  Mail that may wait for money passes."""
        price = self.tariff.quote(self.units(recipients), self.funds.volume).amount
        for whose, spent, cap in self._caps():
            if price and spent + price > cap:
                raise CapReached(whose)
        if (
            price
            and self.funds.available - price < -self.bounds().floor
            and not self.waits_for_money
        ):
            raise InsufficientBalance("Insufficient balance")

    @property
    def waits_for_money(self) -> bool:
        return self.terms.on_empty == "hold"

    def _caps(self) -> Iterator[tuple[str, int, int]]:
        """Whose, what was spent today, and the most that may be."""
        if self.funds.daily_cap is not None:
            yield "account", self.funds.spent, self.funds.daily_cap
        if self.rules.daily_spend is not None:
            yield "API key", self.funds.spent_by_credential, self.rules.daily_spend


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
    """A domain that the account has verified, with the keys that sign for it.

    `return_path`: a domain of the customer's own that bounces come back to, where it is published.
    """

    domain_id: int
    name: str
    keys: tuple[SigningKey, ...]
    return_path: str | None = None


_accounts, _credentials = Account.__table__.c, Credential.__table__.c
_prices, _newer = PriceList.__table__, PriceList.__table__.alias()
_streams = Stream.__table__.c
_balance, _plans = Balance.__table__.c, Plan.__table__.c
_CURRENT_PRICES = (
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
        _plans.rules,
        _credentials.rules,
        _plans.terms,
        _prices.c.id,
        _prices.c.tiers,
        _balance.available,
        _balance.period,
        _balance.volume,
        _balance.spent_on,
        _balance.spent,
        _credentials.spent_on,
        _credentials.spent,
        BillingSettings.__table__.c.daily_cap,
        _streams.bulk,
    )
    .select_from(Credential.__table__)
    .join(Account.__table__, _accounts.id == _credentials.account_id)
    .join(Plan.__table__, _plans.id == _accounts.plan_id)
    .join(Balance.__table__, _balance.account_id == _accounts.id)
    .outerjoin(_prices, _prices.c.id == _CURRENT_PRICES)
    .outerjoin(BillingSettings.__table__, BillingSettings.__table__.c.account_id == _accounts.id)
    .outerjoin(
        Stream.__table__,
        and_(_streams.account_id == _accounts.id, _streams.name == _credentials.stream),
    )
    .where(_credentials.username == bindparam("username"))
)
_domains, _keys = Domain.__table__.c, DkimKey.__table__.c
_SIGNING_DOMAINS = (
    select(
        _domains.id,
        _domains.account_id,
        _domains.name,
        _domains.allow_subdomains,
        _domains.suspended_at,
        _domains.return_path_host,
        _domains.return_path_at,
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
        _keys.state == "active",
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
    (rules, own, terms, prices, tiers, available, period, volume,
     spent_on, spent, credential_spent_on, spent_by_credential, cap, bulk) = row[8:]  # fmt: skip
    if tiers is None:
        raise NoPrice(f"the plan of account {row[0]} has no price at {moment}")
    agreed, today = terms_of(terms), day_of(moment)
    funds = Funds(
        available,
        month_of(moment).so_far(volume, period),
        today.so_far(spent, spent_on),
        today.so_far(spent_by_credential, credential_spent_on),
        cap,
    )
    price_list = tariff(prices, tiers, agreed.included)
    values: list[Any] = [*row[:8], effective(rules, own), agreed, price_list, funds, bool(bulk)]
    return Authority(*values)


def signing_domain(session: Session, account_id: int, name: str) -> SigningDomain | None:
    """The verified domain of this account that mail from `name` (A-labels, lower case) is under.

    That is `name` itself, or the closest domain above it if its owner has allowed subdomains.  A
    closer one that another account has verified wins, so that a parent cannot speak for it.
    A domain whose records are gone for days is suspended: nothing is signed for it.
    """
    found = session.connection().execute(_SIGNING_DOMAINS, {"names": and_above(name)}).all()
    rows = [row for row in found if row.name == found[0].name]
    if not rows or rows[0].account_id != account_id:
        return None
    closest = rows[0]
    if closest.name != name and not closest.allow_subdomains:
        return None
    if closest.suspended_at is not None:
        return None
    own = f"{closest.return_path_host}.{closest.name}" if closest.return_path_at else None
    keys = tuple(SigningKey(*row[7:]) for row in rows)
    return SigningDomain(closest.id, closest.name, keys, own)
