"""A deposit's row, and the entries that follow from it: the only place that books payments.

`book` makes the ledger agree with the row: credited = paid - taken_back - reversed, never below
zero.  Each change is a transfer of its own, numbered by the row's version, so that a repeat changes
nothing, and what came and went can be read in the ledger.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.money import ledger
from franking.money.deposits.models import Deposit
from franking.money.models import Balance
from franking.notices import notices

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing that is misread on a bank's form
LENGTH = 10  # 49 bits


def new(account: Account, provider: str, amount: int, now: datetime) -> Deposit:
    """A pending deposit of `amount` micro-units in the currency of the account's plan."""
    return Deposit(
        account_id=account.id,
        provider=provider,
        reference="D-" + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH)),
        amount=amount,
        paid=0,
        taken_back=0,
        reversed=0,
        credited=0,
        currency=account.plan.currency,
        state="pending",
        automatic=False,
        version=0,
        created_at=now,
    )


def is_reference(text: str | None) -> bool:
    """Whether `new` could have made it; other shops at the same provider have other ones."""
    return bool(text and re.fullmatch(rf"D-[{ALPHABET}]{{{LENGTH}}}", text))


def locked(session: Session, deposit_id: int) -> Deposit:
    """The row as it is now, until the end of the transaction nobody else's."""
    return session.get_one(Deposit, deposit_id, with_for_update=True, populate_existing=True)


def lock(session: Session, account_id: int) -> None:
    """Let nobody else book on this account until the end of the transaction."""
    query = select(Balance.account_id).where(Balance.account_id == account_id)
    session.execute(query.with_for_update())


def book(session: Session, deposit: Deposit, *, now: datetime, note: str | None = None) -> int:
    """Credit or take back the difference; returns it, in micro-units.  `note` is for statements."""
    target = max(0, deposit.paid - deposit.taken_back - deposit.reversed)
    change = target - deposit.credited
    deposit.version += 1
    deposit.credited = target
    if deposit.paid:
        deposit.settled_at = deposit.settled_at or now
    if target:
        deposit.state = "paid"
    elif deposit.settled_at is not None:
        deposit.state = "reversed"
    if not change:
        return 0
    key = f"{deposit.provider}/{deposit.reference}/{deposit.version}"
    detail = {
        "reference": deposit.reference,
        "amount": abs(change),
        "provider": deposit.provider,
        "automatic": deposit.automatic,
    }
    if change > 0:
        text = note or f"payment {deposit.reference}"
        ledger.deposit(session, deposit.account_id, change, reference=key, note=text, now=now)
        notices.give(session, deposit.account_id, "deposit.paid", detail, now)
    else:
        text = note or f"refund or dispute of {deposit.reference}"
        ledger.reverse_deposit(
            session, deposit.account_id, -change, reference=key, note=text, now=now
        )
        notices.give(
            session, deposit.account_id, "deposit.reversed", detail | {"reason": text}, now
        )
    return change
