"""Takes a domain out of service for good, so that nothing of its keys can be reached any more.

Private and public keys, the tokens and what checks have found are deleted; the relay's own zone is
told to answer nothing for it, so that a CNAME which the customer leaves behind leads nowhere, and
never to the key of whoever adds the name next (their target has another token).  The row itself
stays, because messages point at it, and so do reports about mail that was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from franking.domains import locks, relayzone
from franking.domains.dmarc import authorisation
from franking.domains.models import DkimKey, DnsCheck, Domain


def remove(session: Session, domain: Domain, now: datetime) -> None:
    """Nothing for one that was removed meanwhile."""
    locks.lock(session, domain)
    if domain.removed_at is not None:
        return
    lock_zone(session, [domain])
    relayzone.leave(session, domain, now)
    authorisation.withdraw(session, domain)
    for model in (DkimKey, DnsCheck):
        session.execute(delete(model).where(model.domain_id == domain.id))
    domain.removed_at = now
    domain.ownership_token = ""
    domain.dkim_token = domain.dmarc_token = None
    domain.verified_at = domain.verified_by = domain.return_path_at = None
    domain.failing_since = domain.warned_at = domain.suspended_at = None
    domain.checked_at = domain.check_due_at = domain.dkim_due_at = None
    domain.tracking_host = domain.dmarc_since = None
    domain.dmarc_stage = "none"
    domain.allow_subdomains = False
    _unlist(session, domain)
    session.flush()


def lock_zone(session: Session, domains: Sequence[Domain]) -> None:
    """What the relay's own zone has for all of these, before any of it changes."""
    names: set[str] = set()
    for domain in domains:
        names.update(relayzone.names_of(session, domain), authorisation.names_of(session, domain))
    relayzone.lock(session, names)


def _unlist(session: Session, domain: Domain) -> None:
    """Credentials that are restricted to certain domains lose this one.

    Not the last of a list: an empty one restricts nothing, and a credential never gets more than
    its owner gave it.
    """
    for credential in locks.credentials_of(session, domain.account_id):
        others = [name for name in credential.sending_domains if name != domain.name]
        if others:
            credential.sending_domains = others
