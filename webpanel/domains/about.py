"""What the pages of domains have in common: the settings, a domain of the account, the audit."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app
from flask_security import current_user
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.domains import ownership
from franking.domains.models import Domain
from franking.domains.records import RelayNames
from franking.reasons import Invalid, NotFound
from franking.settings import Settings
from webpanel.database import own_account, reading

bp = Blueprint("domains", __name__, url_prefix="/domains")


def settings() -> Settings:
    found: Settings = current_app.extensions["franking.settings"]
    return found


def relay() -> RelayNames:
    return RelayNames.of(settings())


def own(name: str) -> Domain:
    """The account's domain, to be shown; raises NotFound, also for what is no domain name."""
    return _get(reading, current_user.account, name, for_update=False)


def own_to_change(session: Session, name: str) -> Domain:
    """The same in the transaction that changes it: locked."""
    return _get(session, own_account(session), name, for_update=True)


def _get(session: Session, account: Any, name: str, *, for_update: bool) -> Domain:
    try:
        return ownership.get(session, account, name, for_update=for_update)
    except Invalid as reason:
        raise NotFound(str(reason)) from reason


def note(session: Session, action: str, name: str, **detail: Any) -> None:
    """In the audit trail, with who is logged in."""
    user = current_user
    audit.record(session, user.account_id, user.email, f"domain.{action}", domain=name, **detail)
