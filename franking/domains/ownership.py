"""Which account may send from which domain.

Anybody may add a name; one account at a time may have it verified (a partial unique index holds
that against races).  A subdomain is a domain of its own, unless the owner of the domain above it
has switched its subdomains on (`franking.mail.authority.signing_domain`).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import utcnow
from franking.domains import dkim
from franking.domains.models import DkimKey, Domain
from franking.domains.names import to_ascii
from franking.reasons import NotFound, Taken


def add(
    session: Session,
    account: Account,
    name: str,
    *,
    master_key: bytes,
    now: datetime | None = None,
) -> Domain:
    """Add a domain, unverified, with its ownership token and first DKIM key."""
    ascii_name = to_ascii(name)
    if _find(session, account, ascii_name) is not None:
        raise Taken(f"{ascii_name} was added already")
    domain = Domain(
        account_id=account.id,
        name=ascii_name,
        ownership_token=secrets.token_hex(16),
        created_at=now or utcnow(),
    )
    session.add(domain)
    session.flush()
    dkim.create(session, domain, master_key, now=now)
    return domain


def _find(session: Session, account: Account, ascii_name: str) -> Domain | None:
    return session.scalar(
        select(Domain).where(Domain.account_id == account.id, Domain.name == ascii_name)
    )


def get(session: Session, account: Account, name: str) -> Domain:
    domain = _find(session, account, to_ascii(name))
    if domain is None:
        raise NotFound(f"there is no domain {name!r} in account {account.name!r}")
    return domain


def all_of(session: Session, account: Account) -> Sequence[Domain]:
    return session.scalars(
        select(Domain).where(Domain.account_id == account.id).order_by(Domain.name)
    ).all()


def keys_of(session: Session, domain: Domain) -> Sequence[DkimKey]:
    return session.scalars(
        select(DkimKey).where(DkimKey.domain_id == domain.id).order_by(DkimKey.id)
    ).all()


def mark_verified(
    session: Session, domain: Domain, *, by: str, now: datetime | None = None
) -> None:
    """`by` is `dns` (the records were seen) or `assumed` (an operator said so; demo and tests).

    Raises Taken while another account has the same name verified.
    """
    holder = session.scalar(
        select(Domain.account_id).where(
            Domain.name == domain.name,
            Domain.verified_at.is_not(None),
            Domain.account_id != domain.account_id,
        )
    )
    if holder is not None:
        raise Taken(f"{domain.name} is verified by another account")
    domain.verified_at = domain.verified_at or now or utcnow()
    domain.verified_by = by
    session.flush()


def allow_subdomains(session: Session, account: Account, name: str, *, allow: bool) -> Domain:
    """Whether mail may be sent from every name below this domain, signed with its keys."""
    domain = get(session, account, name)
    domain.allow_subdomains = allow
    session.flush()
    return domain
