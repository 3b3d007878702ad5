"""The hosts of a sending domain that a customer may name: for bounces, and for tracking.

Another name is another record: it is not used before that was seen.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.domains import ownership
from franking.domains.models import Domain
from franking.domains.names import is_label
from franking.reasons import Invalid


def name_hosts(
    session: Session,
    account: Account,
    name: str,
    *,
    return_path: str,
    tracking: str | None,
    now: datetime,
) -> Domain:
    """Labels below the domain, such as `bounce`; without `tracking` there is no such host.

    Raises Invalid, NotFound.
    """
    domain = ownership.get(session, account, name, for_update=True)
    bounces = _label("return_path", return_path, domain)
    clicks = _label("tracking", tracking, domain) if tracking else None
    if bounces == clicks:
        raise Invalid.of("tracking", f"{bounces!r} is where bounces go; choose another host")
    if bounces != domain.return_path_host:
        domain.return_path_host, domain.return_path_at = bounces, None
        domain.check_due_at = now
    if clicks != domain.tracking_host:
        domain.tracking_host = clicks
        domain.check_due_at = now
    session.flush()
    return domain


def _label(field: str, text: str, domain: Domain) -> str:
    label = text.strip().lower().removesuffix(f".{domain.name}")
    if not is_label(label):
        raise Invalid.of(
            field,
            f"{text!r} is no host: use letters, digits and hyphens, such as bounce for"
            f" bounce.{domain.name}",
        )
    return label
