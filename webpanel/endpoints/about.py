"""What the pages of Webhooks have in common: settings, an endpoint of the account, the audit."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app
from flask_security import current_user
from sqlalchemy.orm import Session

from franking import sealing
from franking.accounts import audit
from franking.reasons import Invalid, NotFound
from franking.sealing import Sealer
from franking.settings import Settings
from franking.webhooks import endpoints, outbox
from franking.webhooks.models import Delivery, Endpoint
from webpanel.database import own_account, reading

bp = Blueprint("endpoints", __name__, url_prefix="/webhooks")
SHOWN_ONCE = {"Cache-Control": "no-store"}
LARGEST_ID = (1 << 63) - 1


def settings() -> Settings:
    found: Settings = current_app.extensions["franking.settings"]
    return found


def sealer() -> Sealer:
    """Raises SettingsError."""
    return sealing.sealer(settings())


def own(hook: int) -> Endpoint:
    """The account's endpoint, to be shown; raises NotFound."""
    return endpoints.get(reading, current_user.account, _possible(hook))


def own_to_change(session: Session, hook: int) -> Endpoint:
    """The same in the transaction that changes it: locked."""
    return endpoints.get(session, own_account(session), _possible(hook), for_update=True)


def own_delivery(hook: int, number: int) -> tuple[Endpoint, Delivery]:
    """One of this endpoint's; raises NotFound."""
    endpoint = own(hook)
    delivery = outbox.get(reading, current_user.account, _possible(number))
    if delivery.endpoint_id != endpoint.id:
        raise NotFound(f"endpoint {hook} has no delivery {number}")
    return endpoint, delivery


def _possible(number: int) -> int:
    """A row's number from an address; raises NotFound for what no database can have."""
    if number > LARGEST_ID:
        raise NotFound(f"there is no row {number}")
    return number


def note(session: Session, action: str, hook: int, **detail: Any) -> None:
    """In the audit trail, with who is logged in."""
    user = current_user
    audit.record(session, user.account_id, user.email, f"endpoint.{action}", id=hook, **detail)


def sentence(reason: Invalid) -> str:
    text = str(reason)
    return f"{text[:1].upper()}{text[1:]}."
