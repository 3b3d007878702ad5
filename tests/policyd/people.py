"""The customers that the tests of policyd know, by the names that the dialogs use."""

from __future__ import annotations

from franking.accounts import credentials
from franking.db import Database
from tests import factories


def populate(database: Database) -> dict[str, str]:
    """`user` has money, `poor` has none, `suspended` and `revoked` are; each has a `_secret`."""
    with database.transaction() as session:
        plan = factories.plan(session)
        made = {
            "user": factories.credential(session, factories.funded(session, "user", on=plan)),
            "poor": factories.credential(session, factories.account(session, "poor", on=plan)),
        }
        for name in ("suspended", "revoked"):
            owner = factories.funded(session, name, on=plan)
            made[name] = factories.credential(session, owner)
            if name == "suspended":
                factories.suspend(session, owner)
            else:
                credentials.revoke(session, owner, made[name].credential.username)
        names = {name: created.credential.username for name, created in made.items()}
        secrets = {f"{name}_secret": created.secret for name, created in made.items()}
    return {**names, **secrets, "secret": secrets["user_secret"]}
