"""Which account may send from which domain.

Anybody may add a name; one account at a time may have it verified (a partial unique index holds
that against races).  Proof is a TXT record with a random token that belongs to one account and one
domain, so one record never proves a name to two accounts.

*A public suffix* (`co.uk`, `github.io`) is nobody's and is refused.

*A subdomain is a domain of its own.*  Whoever adds it proves it with a record of its own, whether
the domain above it is verified by the same account, by another one or by nobody; who has that
domain can neither prevent it nor give it away.  What the proof of a domain says about the names
below it, it says for its own account only, and only where subdomains were switched on; the closest
verified domain wins (`franking.mail.authority.signing_domain`).

*What another account has verified* is taken over only by who has published every required record,
and only after the holder's own check has seen, minutes ago, that the holder's token is missing or
wrong.  That the DNS did not answer proves nothing, against nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.models import Account
from franking.db import utcnow
from franking.domains import keys, locks, relayzone, removal
from franking.domains.config import Dkim
from franking.domains.dkim import Pairs
from franking.domains.models import DkimKey, DnsCheck, Domain
from franking.domains.names import is_public_suffix, to_ascii
from franking.notices import notices
from franking.reasons import Invalid, NotFound, Taken

if TYPE_CHECKING:
    from franking.domains.checks import Finding

Method = Literal["txt", "cname"]

FRESH = timedelta(minutes=10)  # the holder's check must be no older when it loses the domain
ACTOR = "worker:dns"


def add(
    session: Session,
    account: Account,
    name: str,
    *,
    master_key: bytes,
    now: datetime | None = None,
    dkim: Dkim = Dkim(),  # noqa: B008 - frozen
    method: Method = "txt",
    prefix: str = "frank",
    pairs: Pairs | None = None,
) -> Domain:
    """Add a domain, unverified, with its tokens and first DKIM keys.

    `method`: how its keys are published; `cname` needs a zone of the relay's own, in which
    selectors begin with `prefix`.  A domain that was removed comes back with new tokens and keys.
    `pairs`: of `keys.prepared`, made before the transaction began.
    Raises Invalid, Taken.
    """
    ascii_name = to_ascii(name)
    if is_public_suffix(ascii_name):
        raise Invalid.of(
            "name",
            f"{ascii_name} is a public suffix: everybody may have names below it, so it is"
            f" nobody's sending domain; add your own name, such as example.{ascii_name}",
        )
    if method == "cname" and not dkim.zone:
        raise Invalid.of("method", "this relay has no zone for CNAMEs to point to; use txt")
    domain = _new_or_revived(session, account, ascii_name, now or utcnow())
    domain.ownership_token = secrets.token_hex(16)
    domain.dmarc_token = secrets.token_hex(8)
    domain.dkim_method = method
    session.flush()
    keys.first_keys(
        session, domain, master_key, own=dkim, prefix=prefix, now=now or utcnow(), pairs=pairs
    )
    return domain


def _new_or_revived(session: Session, account: Account, ascii_name: str, now: datetime) -> Domain:
    """A row without a past, save that messages may point at it."""
    row = _find(session, account, ascii_name, for_update=True)
    if row is None:
        row = Domain(account_id=account.id, name=ascii_name, ownership_token="")
    elif row.removed_at is None:
        raise Taken(f"{ascii_name} was added already")
    row.created_at = row.check_due_at = now
    row.removed_at = row.verified_at = row.verified_by = row.return_path_at = None
    row.failing_since = row.warned_at = row.suspended_at = None
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:  # at the same moment, by somebody else of the account
        raise Taken(f"{ascii_name} was added already") from None
    return row


def _find(
    session: Session, account: Account, ascii_name: str, *, for_update: bool
) -> Domain | None:
    query = select(Domain).where(Domain.account_id == account.id, Domain.name == ascii_name)
    return session.scalar(locks.locked(query) if for_update else query)


def get(session: Session, account: Account, name: str, *, for_update: bool = False) -> Domain:
    """Raises NotFound, also for one that was removed.  `for_update`: for who changes it."""
    domain = _find(session, account, to_ascii(name), for_update=for_update)
    if domain is None or domain.removed_at is not None:
        raise NotFound(f"there is no domain {name!r} in account {account.name!r}")
    return domain


def all_of(session: Session, account: Account) -> Sequence[Domain]:
    return session.scalars(_all_of(account).order_by(Domain.name)).all()


def all_to_change(session: Session, account: Account) -> Sequence[Domain]:
    """The same, locked in the order in which everybody locks them."""
    return session.scalars(locks.locked(_all_of(account).order_by(Domain.id))).all()


def _all_of(account: Account) -> Select[Domain]:
    return select(Domain).where(Domain.account_id == account.id, Domain.removed_at.is_(None))


def keys_of(session: Session, domain: Domain) -> Sequence[DkimKey]:
    """Oldest first."""
    return keys.keys_of(session, domain)


def verify(session: Session, domain: Domain, findings: Sequence[Finding], now: datetime) -> bool:
    """Whether the domain is verified now, because every required record was seen.

    Raises Taken while another account has it verified and has not lost it.
    """
    if not proves(domain, findings):
        return False
    holder = holder_of(session, domain, for_update=True)
    if holder is not None:
        if not has_lost(session, holder, now):
            raise Taken(taken(domain))
        _take_from(session, holder, now)
    _mark(session, domain, by="dns", now=now)
    return True


def proves(domain: Domain, findings: Sequence[Finding]) -> bool:
    """All that is required was seen, and the token is this row's."""
    required = [finding for finding in findings if finding.record.required]
    tokens = [f.record.value for f in required if f.record.purpose == "ownership"]
    return (
        bool(domain.ownership_token)
        and any(value.endswith(f"={domain.ownership_token}") for value in tokens)
        and all(finding.status == "verified" for finding in required)
    )


def mark_verified(
    session: Session, domain: Domain, *, by: str, now: datetime | None = None
) -> None:
    """`by` is `dns` (the records were seen) or `assumed` (an operator said so; demo and tests).

    Raises Taken while another account has the same name verified, NotFound if it was removed.
    """
    locks.lock(session, domain)
    if domain.removed_at is not None:
        raise NotFound(f"{domain.name} was removed")
    if holder_of(session, domain) is not None:
        raise Taken(taken(domain))
    _mark(session, domain, by=by, now=now or utcnow())


def _mark(session: Session, domain: Domain, *, by: str, now: datetime) -> None:
    try:
        with session.begin_nested():
            domain.verified_at = domain.verified_at or now
            domain.verified_by = by
    except IntegrityError:  # another account was a moment faster
        raise Taken(taken(domain)) from None


def holder_of(session: Session, domain: Domain, *, for_update: bool = False) -> Domain | None:
    """The row of the other account that has the same name verified."""
    query = select(Domain).where(
        Domain.name == domain.name,
        Domain.verified_at.is_not(None),
        Domain.account_id != domain.account_id,
    )
    return session.scalar(locks.locked(query) if for_update else query)


def has_lost(session: Session, holder: Domain, now: datetime) -> bool:
    """Whether the holder's own token was seen to be missing or wrong a moment ago."""
    found = select(DnsCheck.id).where(
        DnsCheck.domain_id == holder.id,
        DnsCheck.purpose == "ownership",
        DnsCheck.status.in_(("missing", "wrong")),
        DnsCheck.checked_at >= now - FRESH,
    )
    return holder.failing_since is not None and session.scalar(found) is not None


def taken(domain: Domain) -> str:
    return (
        f"{domain.name} is verified by another account. It becomes yours when your records are"
        f" published and that account's record at _franking.{domain.name} is gone"
    )


def _take_from(session: Session, holder: Domain, now: datetime) -> None:
    holder.verified_at = holder.verified_by = holder.return_path_at = None
    holder.failing_since = holder.warned_at = holder.suspended_at = None
    relayzone.leave(session, holder, now)
    notices.give(session, holder.account_id, "domain.lost", {"domain": holder.name}, now)
    audit.record(session, holder.account_id, ACTOR, "domain.lost", domain=holder.name)


def allow_subdomains(session: Session, account: Account, name: str, *, allow: bool) -> Domain:
    """Whether mail may be sent from every name below this domain, signed with its keys."""
    domain = get(session, account, name, for_update=True)
    domain.allow_subdomains = allow
    session.flush()
    return domain


def remove(session: Session, account: Account, name: str, now: datetime) -> Domain:
    """Forget the domain: see `franking.domains.removal`.  Raises NotFound."""
    domain = get(session, account, name, for_update=True)
    removal.remove(session, domain, now)
    return domain
