"""The customers that the tests of policyd know, by the names that the dialogs use."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from franking.accounts import credentials
from franking.accounts.credentials import Created, Options
from franking.accounts.models import Account
from franking.db import Database, utcnow
from tests import factories

DAY = timedelta(days=1)
OFFICE = ("192.0.2.0/24",)


def populate(database: Database) -> dict[str, str]:
    """`user` has money, `poor` has none, `suspended` and `revoked` are; each has a `_secret`.

    `office` may log in from 192.0.2.0/24 only, `printer` from there in clear text too; `expired`
    is; of `rotated` and `rotating`, whose overlap runs, there is an `_old_secret`.
    """
    with database.transaction() as session:
        plan = factories.plan(session)
        user = factories.funded(session, "user", on=plan)
        made = {
            "user": factories.credential(session, user),
            "poor": factories.credential(session, factories.account(session, "poor", on=plan)),
        }
        for name in ("suspended", "revoked"):
            owner = factories.funded(session, name, on=plan)
            made[name] = factories.credential(session, owner)
            if name == "suspended":
                factories.suspend(session, owner)
            else:
                credentials.revoke(session, owner, made[name].credential.username)
        made |= _restricted(session, user)
        old = {name: factories.credential(session, user) for name in ("rotated", "rotating")}
        for name, overlap in (("rotated", timedelta()), ("rotating", DAY)):
            username = old[name].credential.username
            made[name] = credentials.rotate(session, user, username, overlap=overlap, longest=DAY)
        names = {name: created.credential.username for name, created in made.items()}
        secrets = {f"{name}_secret": created.secret for name, created in made.items()}
        old_secrets = {f"{name}_old_secret": created.secret for name, created in old.items()}
    return {**names, **secrets, **old_secrets, "secret": secrets["user_secret"]}


def _restricted(session: Session, owner: Account) -> dict[str, Created]:
    yesterday = utcnow() - DAY
    options = {
        "office": Options(source_networks=OFFICE),
        "printer": Options(source_networks=OFFICE, allow_plaintext=True),
        "expired": Options(expires_at=yesterday),
    }
    return {
        name: credentials.create(
            session,
            owner,
            name,
            prefix=factories.PREFIX,
            options=option,
            now=yesterday - DAY,
        )
        for name, option in options.items()
    }
