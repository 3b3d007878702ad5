"""What a credential's messages of one day (UTC) cost, where it has a cap on that.

Counted in the transaction that reserves the money, behind the balance in the lock order.  A cap
counts from the moment it is set.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Date, bindparam, or_, update
from sqlalchemy.orm import Session

from franking.accounts.models import Credential
from franking.money.periods import counted, day_of, latest
from franking.reasons import CapReached

_columns = Credential.__table__.c
_DAY = bindparam("b_day", type_=Date)
_AMOUNT = bindparam("b_amount", type_=BigInteger)
_SPENT = counted(_columns.spent, _columns.spent_on, "b_day") + _AMOUNT
_SPEND = (
    update(Credential.__table__)  # type: ignore[arg-type]
    .where(
        _columns.id == bindparam("b_credential_id"),
        or_(_AMOUNT == 0, bindparam("b_cap", type_=BigInteger) >= _SPENT),
    )
    .values(spent=_SPENT, spent_on=latest(_columns.spent_on, "b_day"))
)
_GIVE_BACK = (
    update(Credential.__table__)  # type: ignore[arg-type]
    .where(
        _columns.id == bindparam("b_credential_id"),
        _columns.spent_on == _DAY,
        _columns.spent >= _AMOUNT,
    )
    .values(spent=_columns.spent - _AMOUNT)
)


def spend(session: Session, credential_id: int, amount: int, cap: int, now: datetime) -> None:
    """Raises CapReached, and has then counted nothing."""
    values = {
        "b_credential_id": credential_id,
        "b_amount": amount,
        "b_cap": cap,
        **day_of(now).values("b_day"),
    }
    if session.connection().execute(_SPEND, values).rowcount != 1:
        raise CapReached("API key")


def give_back(session: Session, credential_id: int, amount: int, at: datetime) -> None:
    """Of a message that was counted at `at` and given up; what was not counted stays away."""
    values = {"b_credential_id": credential_id, "b_amount": amount, "b_day": at.date()}
    session.connection().execute(_GIVE_BACK, values)
