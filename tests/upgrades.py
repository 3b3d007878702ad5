"""What migration 0004 makes of domains that were there before it, on any engine."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from franking import migrations
from franking.db import Database, utcnow
from franking.domains.models import DkimKey, Domain

DOMAINS = 50
DAY = timedelta(days=1)

_ACCOUNTS = (
    "insert into plan (id, name, currency, created_at) values (1, 'p', 'EUR', '2026-01-01')",
    "insert into account (id, name, plan_id, status, created_at)"
    " values (1, 'a', 1, 'active', '2026-01-01'), (2, 'b', 1, 'active', '2026-01-01')",
    # The second account has added what the first one has verified.
    "insert into domain (account_id, name, ownership_token, created_at)"
    " values (2, 'd1.example', 't', '2026-01-01')",
)
_DOMAIN = (
    "insert into domain (account_id, name, ownership_token, verified_at, verified_by, created_at)"
    " values (1, :name, 't', '2026-01-02', 'dns', '2026-01-01')"
)
_KEY = (
    "insert into dkim_key (domain_id, selector, algorithm, public_key, sealed_private_key, active,"
    " created_at) select id, :selector, 'rsa-sha256', 'k', :sealed, :active, '2026-01-01'"
    " from domain where name = 'd1.example' and account_id = 1"
)


def upgraded_with_domains(database: Database) -> None:
    """From 0003, with what an installation has."""
    migrations.upgrade(database.engine, "0003")
    with database.transaction() as session:
        for statement in _ACCOUNTS:
            session.execute(text(statement))
        for number in range(1, DOMAINS):
            session.execute(text(_DOMAIN), {"name": f"d{number}.example"})
        for selector, active in (("s1", False), ("s2", True)):
            values = {"selector": selector, "active": active, "sealed": b"sealed"}
            session.execute(text(_KEY), values)
    began = utcnow().replace(microsecond=0)  # SQLite's clock has seconds
    migrations.upgrade(database.engine)
    _looks_are_spread(database, began, utcnow())
    _keys_go_on(database)
    _names_are_still_shared(database)


def _looks_are_spread(database: Database, began: datetime, ended: datetime) -> None:
    """Not at once: neither looks, nor the mail that they lead to."""
    with database.session() as session:
        rows = session.execute(select(Domain.check_due_at, Domain.dkim_due_at).order_by(Domain.id))
        for dues in zip(*rows, strict=True):
            times = sorted(dues)
            assert len(times) == DOMAINS
            assert began <= times[0] and times[-1] < ended + DAY
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert min(gaps) > DAY / DOMAINS / 4 and max(gaps) < DAY / DOMAINS * 4


def _keys_go_on(database: Database) -> None:
    with database.session() as session:
        keys = session.scalars(select(DkimKey).order_by(DkimKey.selector)).all()
        assert [(k.selector, k.state, k.method) for k in keys] == [
            ("s1", "retiring", "txt"),
            ("s2", "active", "txt"),
        ]
        old, new = keys
        assert old.remove_at is not None and new.remove_at is None
        assert new.activated_at == new.created_at


def _names_are_still_shared(database: Database) -> None:
    """Each domain has an address for reports; one account has a name verified, others wait."""
    with database.transaction() as session:
        rows = session.scalars(select(Domain)).all()
        assert len({row.dmarc_token for row in rows} - {None}) == DOMAINS
        rows[0].dmarc_token = rows[1].dmarc_token = None
    for column in ("verified_at", "dmarc_token"):
        try:
            with database.transaction() as session:
                first, second = session.scalars(
                    select(Domain).where(Domain.name == "d1.example").order_by(Domain.account_id)
                )
                first.dmarc_token = first.dmarc_token or "one"
                setattr(second, column, getattr(first, column))
        except IntegrityError:
            continue
        raise AssertionError(f"{column} is not unique")
