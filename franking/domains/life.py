"""What becomes of a domain as its DNS records come and go.

    pending ──all required seen──▶ verified ──one missing or wrong──▶ failing ──3 days──▶ warned
                                      ▲                                                    │ grace
                                      └──────────────── right again ◀───────────────── suspended

Only what the DNS has said counts: a look that nobody answered (`temporary_failure`), or that not
every resolver could confirm yet (`pending`), moves nothing but the time of the next one.  Nothing
is signed for a suspended domain, so no mail from it is taken (550, `from_not_verified`).  An
operator's word (`verified_by` is `assumed`) is not overruled by the DNS, but does not keep the
domain from an account that proves it.

No transaction is open while the DNS is asked: `examine` reads and asks, `record` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from franking import log
from franking.accounts import audit
from franking.db import Database
from franking.dns.answers import Lookup
from franking.domains import found, locks, lost, ownership
from franking.domains.checks import Finding, check
from franking.domains.dmarc import authorisation, stages
from franking.domains.found import Others
from franking.domains.models import Domain
from franking.domains.records import Record, RelayNames, expected_records
from franking.notices import notices
from franking.reasons import Taken
from franking.settings import Settings

Alarm = Callable[[str], object]  # the name of a key that signs and is not in the zone
State = Literal["pending", "verified", "failing", "suspended"]

WARN_AFTER = timedelta(days=3)
LEASE = timedelta(minutes=5)  # more than a look takes whose every question is left unanswered
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# While a domain is pending: looks so often until it is so old.
PATIENCE = (
    (HOUR, MINUTE),
    (DAY, timedelta(minutes=5)),
    (timedelta(days=14), HOUR),
)
DEFINITE = ("missing", "wrong")
NEVER_SO_FAR = timedelta(days=2)  # ahead: what is daily is due before, so a clock was wrong


@dataclass(frozen=True)
class Examined:
    """What the DNS has said about what a domain should have."""

    domain_id: int
    records: Sequence[Record]
    findings: list[Finding]


def state(domain: Domain) -> State:
    if domain.verified_at is None:
        return "pending"
    if domain.suspended_at is not None:
        return "suspended"
    return "verified" if domain.failing_since is None else "failing"


def obstacle(session: Session, domain: Domain) -> str | None:
    """Why a pending domain whose required records are all right is not verified, a sentence."""
    if domain.verified_at is None and ownership.holder_of(session, domain) is not None:
        return ownership.taken(domain)
    return None


# --- looking ---------------------------------------------------------------------------------


def due(session: Session, now: datetime, limit: int, *, for_update: bool = False) -> list[int]:
    """IDs of domains whose look is due, the longest overdue first; then those that a clock which
    was ahead has put off for longer than anything is."""
    found: list[int] = []
    # One question each: an OR could make a planner read the whole index.
    for reason in (Domain.check_due_at <= now, Domain.check_due_at > now + NEVER_SO_FAR):
        query = select(Domain.id).where(reason).order_by(Domain.check_due_at)
        query = query.limit(limit - len(found))
        if for_update:
            query = query.with_for_update(skip_locked=True, key_share=True)
        found += session.scalars(query)
    return found


def claim(session: Session, now: datetime, limit: int) -> list[int]:
    """Domains that are ours to look at until the lease ends; commit before looking."""
    claimed = due(session, now, limit, for_update=True)
    _postpone(session, claimed, now + LEASE)
    return claimed


def release(session: Session, claimed: Sequence[int], now: datetime) -> None:
    """Somebody else may look at them at once."""
    _postpone(session, claimed, now)


def _postpone(session: Session, domain_ids: Sequence[int], until: datetime) -> None:
    """Not what was removed meanwhile."""
    waiting = Domain.id.in_(domain_ids) & Domain.check_due_at.is_not(None)
    changed = update(Domain).where(waiting).values(check_due_at=until)
    session.execute(changed.execution_options(synchronize_session=False))


def look_at(
    database: Database, settings: Settings, lookup: Lookup, domain_id: int, now: datetime,
    *, alarm: Alarm = log.key_lost,
) -> list[Finding]:  # fmt: skip
    """Ask the DNS about one domain and write down what follows; nothing for one that is gone."""
    examined = examine(database, settings, lookup, domain_id)
    if examined is None:
        return []
    record(database, settings, examined, now, alarm=alarm)
    return examined.findings


def examine(
    database: Database, settings: Settings, lookup: Lookup, domain_id: int
) -> Examined | None:
    """None when there is no such domain any more."""
    with database.session() as session:
        domain = session.get(Domain, domain_id)
        if domain is None or domain.removed_at is not None:
            return None
        expected = _expected(session, domain, settings)
        others = Others(database, domain.account_id, domain.id)
    return Examined(domain_id, expected, check(expected, lookup, others))


def record(
    database: Database, settings: Settings, examined: Examined, now: datetime,
    *, alarm: Alarm = log.key_lost,
) -> None:  # fmt: skip
    """What was examined is not what is expected now (a new token, another key): look again."""
    missed: list[str] = []
    with database.transaction() as session:
        domain = session.get_one(Domain, examined.domain_id, with_for_update=locks.FOR_CHANGE)
        if domain.removed_at is not None:
            return
        if _expected(session, domain, settings) == examined.records:
            grace = timedelta(days=settings.dns.grace_days)
            missed = lost.mend(session, domain, examined.findings, now, settings.dkim.zone)
            apply(session, domain, examined.findings, now, grace)
            if domain.verified_at is not None:
                authorisation.agree(session, domain, RelayNames.of(settings))
        else:
            domain.check_due_at = now
    for name in missed:
        alarm(name)


def _expected(session: Session, domain: Domain, settings: Settings) -> list[Record]:
    keys = ownership.keys_of(session, domain)
    return expected_records(domain, keys, RelayNames.of(settings))


# --- what follows ----------------------------------------------------------------------------


def apply(
    session: Session,
    domain: Domain,
    findings: Sequence[Finding],
    now: datetime,
    grace: timedelta,
) -> None:
    """Write the findings down, and what they make of the domain (locked by the caller).

    `findings` are of everything that is expected of it.
    """
    found.write(session, domain, findings, now)
    domain.checked_at = now
    domain.return_path_at = _return_path_at(domain, findings, now)
    if domain.verified_at is not None:
        _hold(session, domain, findings, now, grace)
        soon = False
    else:
        soon = _prove(session, domain, findings, now)
    mending = lost.KEY_NOT_IN_ZONE in {f.fault for f in findings}
    unsure = any(f.record.required and f.status == "temporary_failure" for f in findings)
    domain.check_due_at = now + (MINUTE if soon else wait(domain, now, unsure=unsure or mending))
    if any(f.record.key_id and not f.record.required and f.status == "verified" for f in findings):
        domain.dkim_due_at = now  # a key has waited for just this
    _observe_policy(session, domain, findings, now)
    session.flush()


def _prove(session: Session, domain: Domain, findings: Sequence[Finding], now: datetime) -> bool:
    """Whether to look again soon: another account has the domain, and may be losing it."""
    try:
        if ownership.verify(session, domain, findings, now):
            name, owner = domain.name, domain.account_id
            audit.record(session, owner, ownership.ACTOR, "domain.verify", domain=name, by="dns")
            _tell(session, domain, "domain.verified", now)
    except Taken:
        holder = ownership.holder_of(session, domain)
        if holder is None:
            return True
        holder.check_due_at = now
        return holder.failing_since is not None
    return False


def _hold(
    session: Session, domain: Domain, findings: Sequence[Finding], now: datetime, grace: timedelta
) -> None:
    if ownership.proves(domain, findings):
        _recovered(session, domain, now)
    elif any(f.record.required and f.status in DEFINITE for f in findings):
        domain.failing_since = domain.failing_since or now
        if domain.verified_by != "assumed":
            _failing(session, domain, now, grace)


def _recovered(session: Session, domain: Domain, now: datetime) -> None:
    told = domain.warned_at or domain.suspended_at
    domain.verified_by = "dns"
    domain.failing_since = domain.warned_at = domain.suspended_at = None
    if told:
        _tell(session, domain, "domain.restored", now)


def _failing(session: Session, domain: Domain, now: datetime, grace: timedelta) -> None:
    """Grace begins with the warning, however long nobody has looked before."""
    if domain.warned_at is None:
        if domain.failing_since is not None and now - domain.failing_since >= WARN_AFTER:
            domain.warned_at = now
            _tell(session, domain, "domain.failing", now, days_left=grace.days)
    elif domain.suspended_at is None and now - domain.warned_at >= grace:
        domain.suspended_at = now
        _tell(session, domain, "domain.failed", now)


def _observe_policy(
    session: Session, domain: Domain, findings: Sequence[Finding], now: datetime
) -> None:
    """Which DMARC policy receivers see: none of the domain's own, if they cannot read it."""
    for finding in findings:
        if finding.record.purpose != "dmarc" or finding.status not in ("verified", *DEFINITE):
            continue
        own = finding.status == "verified" and finding.fault != "dmarc_inherited"
        stages.observe(session, domain, finding.found[0] if own and finding.found else None, now)


def _tell(session: Session, domain: Domain, kind: str, now: datetime, **detail: object) -> None:
    session.flush()
    notices.give(session, domain.account_id, kind, {"domain": domain.name, **detail}, now)


def wait(domain: Domain, now: datetime, *, unsure: bool = False) -> timedelta:
    """Until the next look; `unsure`: this one was left without an answer, or we are mending.

    Daily looks are spread by ±10 %, each domain always by the same.
    """
    daily = DAY * (0.9 + 0.2 * (domain.id * 0.618034 % 1))
    if domain.verified_at is None:
        age = now - domain.created_at
        return next((often for until, often in PATIENCE if age < until), daily)
    if domain.suspended_at is not None and now - domain.suspended_at > timedelta(days=14):
        return daily
    return HOUR if unsure or domain.failing_since is not None else daily


def _return_path_at(domain: Domain, findings: Sequence[Finding], now: datetime) -> datetime | None:
    """None when it is not published, or not expected any more."""
    status = next((f.status for f in findings if f.record.purpose == "return_path"), "missing")
    if status in DEFINITE:
        return None
    if status == "verified":
        return domain.return_path_at or now
    return domain.return_path_at
