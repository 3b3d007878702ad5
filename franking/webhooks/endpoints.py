"""Customers' webhook endpoints: create, change, rotate the secret, disable, remove.

The secret is what Standard Webhooks calls a symmetric secret: `whsec_` and the base64 of 32 random
bytes (https://www.standardwebhooks.com).  Unlike a credential's it must be kept readable, because
we sign with it, so it is sealed under the master key.  After a rotation the old one signs too,
for an overlap.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.money.terms import terms_of
from franking.notices.kinds import KINDS as NOTICE_KINDS
from franking.reasons import Invalid, NotFound
from franking.sealing import Sealer
from franking.tables import utcnow
from franking.webhooks import addresses, retention
from franking.webhooks import filters as filtering
from franking.webhooks.config import Webhooks
from franking.webhooks.filters import EVERYTHING, KINDS, MAIL_KINDS, Filters, filters_of
from franking.webhooks.models import Delivery, Endpoint

__all__ = [
    "KINDS",
    "MAIL_KINDS",
    "NOTICE_KINDS",
    "Created",
    "Filters",
    "all_of",
    "allowed",
    "change",
    "create",
    "disable",
    "enable",
    "filters_of",
    "get",
    "remove",
    "reveal",
    "rotate",
    "secrets_of",
    "standing_of",
]

MOST = 20  # endpoints of one account
LARGEST_BATCH = 100  # events
LONGEST_OVERLAP = timedelta(days=30)
# Why we stop by ourselves, besides at somebody's word.
TOOK_NOTHING = "it took nothing for three days"
GONE = "it answered 410 Gone"

Standing = Literal["active", "failing", "paused", "disabled"]


@dataclass(frozen=True)
class Created:
    """`secret` is what the customer's software verifies with."""

    endpoint: Endpoint
    secret: str


def allowed(account: Account) -> bool:
    """Whether the account's plan has webhooks."""
    return "webhooks" in terms_of(account.plan.terms).features


def create(
    session: Session,
    account: Account,
    url: str,
    *,
    events: Sequence[str] = (),
    filters: Filters = EVERYTHING,
    batch: int = 1,
    sealer: Sealer,
    rules: Webhooks,
    now: datetime | None = None,
) -> Created:
    """A new endpoint for these kinds of events, all when none is named; `batch`: so many in one
    request.  Raises Invalid."""
    if not allowed(account):
        raise Invalid("the account's plan has no webhooks")
    if len(all_of(session, account)) >= MOST:
        raise Invalid(f"an account has at most {MOST} endpoints")
    endpoint = Endpoint(
        account_id=account.id, url=addresses.checked(url, rules), events=filtering.known(events),
        batch=_batch(batch), sealed_secret=b"", created_at=now or utcnow(),
    )  # fmt: skip
    filtering.store(session, account, endpoint, filters)
    session.add(endpoint)
    session.flush()  # the secret is sealed for this row's number
    secret = _new_secret()
    endpoint.sealed_secret = sealer.seal(secret.encode(), context(endpoint))
    session.flush()
    return Created(endpoint, secret)


def get(
    session: Session, account: Account, endpoint_id: int, *, for_update: bool = False
) -> Endpoint:
    """Raises NotFound."""
    found = session.get(Endpoint, endpoint_id, with_for_update=for_update)
    if found is None or found.account_id != account.id or found.removed_at is not None:
        raise NotFound(f"there is no endpoint {endpoint_id}")
    return found


def all_of(session: Session, account: Account) -> Sequence[Endpoint]:
    query = select(Endpoint).where(Endpoint.account_id == account.id, Endpoint.removed_at.is_(None))
    return session.scalars(query.order_by(Endpoint.id)).all()


def change(
    session: Session,
    account: Account,
    endpoint_id: int,
    *,
    rules: Webhooks,
    url: str | None = None,
    events: Sequence[str] | None = None,
    filters: Filters | None = None,
    batch: int | None = None,
) -> Endpoint:
    """Another URL or other events; None leaves it.  Raises Invalid, NotFound."""
    endpoint = get(session, account, endpoint_id, for_update=True)
    if url is not None:
        endpoint.url = addresses.checked(url, rules)
        endpoint.failing_since = endpoint.warned_at = None  # nobody has tried this one
    if events is not None:
        endpoint.events = filtering.known(events)
    if filters is not None:
        filtering.store(session, account, endpoint, filters)
    if batch is not None:
        endpoint.batch = _batch(batch)
    session.flush()
    return endpoint


def rotate(
    session: Session,
    account: Account,
    endpoint_id: int,
    *,
    overlap: timedelta,
    sealer: Sealer,
    now: datetime,
) -> Created:
    """A new secret; the old one signs beside it for the overlap.  Raises Invalid, NotFound."""
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise Invalid.of("overlap", f"at most {LONGEST_OVERLAP.days} days")
    endpoint = get(session, account, endpoint_id, for_update=True)
    secret = _new_secret()
    endpoint.sealed_previous = endpoint.sealed_secret if overlap else None
    endpoint.previous_until = now + overlap if overlap else None
    endpoint.sealed_secret = sealer.seal(secret.encode(), context(endpoint))
    session.flush()
    return Created(endpoint, secret)


def reveal(endpoint: Endpoint, sealer: Sealer) -> str:
    """The secret again, for whoever may see the account; raises SealError."""
    return sealer.open(endpoint.sealed_secret, context(endpoint)).decode()


def secrets_of(endpoint: Endpoint, sealer: Sealer, now: datetime) -> list[str]:
    """Those that sign at this moment, the newest first; raises SealError."""
    sealed = [endpoint.sealed_secret]
    if endpoint.sealed_previous and endpoint.previous_until and now < endpoint.previous_until:
        sealed.append(endpoint.sealed_previous)
    return [sealer.open(each, context(endpoint)).decode() for each in sealed]


def disable(
    session: Session, account: Account, endpoint_id: int, reason: str, now: datetime
) -> Endpoint:
    """Deliver nothing to it any more; what waits is given up.  Raises NotFound."""
    endpoint = get(session, account, endpoint_id, for_update=True)
    close(session, endpoint, reason, now)
    return endpoint


def close(session: Session, endpoint: Endpoint, reason: str, now: datetime) -> None:
    """The same for a row that is locked already."""
    if endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_reason = now, reason[:200]
    _give_up(session, endpoint, reason, now)
    session.flush()


def _give_up(session: Session, endpoint: Endpoint, reason: str, now: datetime) -> None:
    """A first part of what waits; the rest is for `retention.give_up`, so that others can write."""
    waiting = select(Delivery.id).where(Delivery.endpoint_id == endpoint.id, *retention.pending())
    first = update(Delivery).where(Delivery.id.in_(waiting.limit(retention.BATCH)))
    given_up = first.values(dead_at=now, last_error=retention.disabled(reason))
    session.execute(given_up.execution_options(synchronize_session=False))


def enable(session: Session, account: Account, endpoint_id: int) -> Endpoint:
    """What happens from now on is delivered again, what has happened is for
    `franking.webhooks.replays`.  Raises NotFound."""
    endpoint = get(session, account, endpoint_id, for_update=True)
    endpoint.disabled_at = endpoint.disabled_reason = None
    endpoint.failing_since = endpoint.warned_at = None
    session.flush()
    return endpoint


def standing_of(endpoint: Endpoint) -> Standing:
    """`paused` by us, `disabled` by somebody; `failing`: it did not take the last one."""
    if endpoint.disabled_at is not None:
        return "paused" if endpoint.disabled_reason in (TOOK_NOTHING, GONE) else "disabled"
    return "active" if endpoint.failing_since is None else "failing"


def remove(
    session: Session, account: Account, endpoint_id: int, now: datetime | None = None
) -> None:
    """Forget it; its deliveries go a few at a time (`retention.forget`).  Raises NotFound."""
    endpoint = get(session, account, endpoint_id, for_update=True)
    close(session, endpoint, "removed", now or utcnow())
    endpoint.removed_at = now or utcnow()
    session.flush()


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def context(endpoint: Endpoint) -> str:
    return f"endpoint:{endpoint.id}"


def _batch(batch: int) -> int:
    if not 1 <= batch <= LARGEST_BATCH:
        raise Invalid.of("batch", f"1 to {LARGEST_BATCH} events in one request")
    return batch
