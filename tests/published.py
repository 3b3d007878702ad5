"""Domains whose records are in a zone, as their owners would copy them there."""

from __future__ import annotations

from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Database
from franking.dns.config import Dns
from franking.domains import ownership
from franking.domains.models import Domain
from franking.domains.records import RelayNames, expected_records
from franking.domains.zonefile import zone_text
from franking.settings import Settings
from tests import factories
from tests.dns.fakedns import FakeDns


def asking(settings: Settings, server: FakeDns, **more: object) -> Settings:
    """The same settings in a world where there is only this server."""
    own = {"resolvers": (str(server),), "authoritative_port": server.port, "timeout": 2.0}
    return settings.model_copy(update={"dns": Dns.model_validate({**own, **more})})


def added(database: Database, settings: Settings, *names: str, of: int | None = None) -> list[int]:
    """New domains of one account, of a new one by default; their ids."""
    with database.transaction() as session:
        account = factories.account(session) if of is None else session.get_one(Account, of)
        return [
            ownership.add(
                session, account, name, master_key=settings.master_key_bytes(), dkim=settings.dkim
            ).id
            for name in names
        ]


def zone(database: Database, settings: Settings, domain_id: int) -> tuple[str, str]:
    """The name, and the zone with every record that is expected."""
    with database.session() as session:
        domain = session.get_one(Domain, domain_id)
        keys = ownership.keys_of(session, domain)
        records = expected_records(domain, keys, RelayNames.of(settings))
        return domain.name, zone_text(records)


def publish(server: FakeDns, database: Database, settings: Settings, *domain_ids: int) -> None:
    for domain_id in domain_ids:
        server.set_zone(*zone(database, settings, domain_id))


def texts(database: Database, account_name: str, domain_name: str) -> dict[str, str]:
    """The records that a domain should have, by name: what a verifier of its mail has for DNS."""
    with database.session() as session:
        domain = ownership.get(session, accounts.get(session, account_name), domain_name)
        records = expected_records(domain, ownership.keys_of(session, domain))
    return {record.name: record.value for record in records}
