"""An account that can send at once: plan, money, a person, a verified domain, a credential.

Made at the first start and kept.  The database holds only the hash of the credential's secret, so
the secret is remembered in `secrets.json`; where that is lost, a new credential is made.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking import migrations
from franking.accounts import account as accounts
from franking.accounts import credentials, users
from franking.accounts.models import Account, User
from franking.db import Database
from franking.domains import ownership
from franking.money import ledger, pricing
from franking.reasons import NotFound
from franking.settings import Settings, load
from stack.instance import Instance
from stack.ports import HOST

ACCOUNT = "demo"
EMAIL = "demo@franking.test"
DOMAIN = "shop.test"
PLAN = "standard"
CURRENCY = "EUR"
UNIT_PRICE = 1_000  # micro-units: 0.001 EUR a message
DEPOSIT = 100_000_000  # micro-units: 100 EUR


def ensure(instance: Instance) -> None:
    """Bring the schema up to date and make what is missing; writes the database."""
    settings = load(instance.settings_file)
    database = Database(settings.database_url)
    try:
        migrations.upgrade(database.engine)
        with database.transaction() as session:
            account = _account(session, settings)
            _user(session, account, instance.secrets["demo_password"])
            made = _credential(session, account, settings, instance)
        if made is not None:
            instance.remember_secret(
                demo_username=made.credential.username, demo_secret=made.secret
            )
    finally:
        database.close()


def _account(session: Session, settings: Settings) -> Account:
    try:
        return accounts.get(session, ACCOUNT)
    except NotFound:
        pass
    plan = pricing.create_plan(session, PLAN, currency=CURRENCY, unit_price=UNIT_PRICE)
    account = accounts.create(session, ACCOUNT, plan=plan)
    ledger.deposit(session, account.id, DEPOSIT, reference="demo", note="start-up balance")
    domain = ownership.add(session, account, DOMAIN, master_key=settings.master_key_bytes())
    ownership.mark_verified(session, domain, by="assumed")
    return account


def _user(session: Session, account: Account, password: str) -> None:
    if session.scalar(select(User.id).where(User.email == EMAIL)) is None:
        users.create(session, account, EMAIL, password)


def _credential(
    session: Session, account: Account, settings: Settings, instance: Instance
) -> credentials.Created | None:
    username = instance.secrets.get("demo_username")
    known = {c.username for c in credentials.all_of(session, account) if c.revoked_at is None}
    if username in known:
        return None
    return credentials.create(session, account, "Demo", prefix=settings.brand.prefix)


def description(instance: Instance) -> dict[str, Any]:
    """What `demo.json` says."""
    return {
        "panel_url": instance.panel_url,
        "login": {"email": EMAIL, "password": instance.secrets["demo_password"]},
        "smtp": {
            "host": HOST,
            "ports": instance.ports.smtp_ports(),
            "username": instance.secrets["demo_username"],
            "password": instance.secrets["demo_secret"],
        },
        "from_address": f"hello@{DOMAIN}",
        "sink_dir": str(instance.sink),
        "cli": str(instance.cli),
        "ca_file": str(instance.ca_file),
    }
