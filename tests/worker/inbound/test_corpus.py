"""Every case of the corpus through the real worker on a real database, as Postfix delivers it.

What a report says is one thing (`test_reading.py`); here is what follows for the message that it is
about, which each case has sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Stop

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.db import Database
from franking.mail import events
from franking.mail.bounce_classes import CATEGORIES
from franking.mail.config import Bounces, Inbound
from franking.mail.events import Attempt
from franking.mail.models import Event, Suppression
from franking.mail.returnpath import ReturnPaths
from franking.nodes.models import Tally
from franking.settings import Settings
from tests import factories
from tests.corpora import returned
from tests.corpora.returned import Case, Places
from worker.inbound.service import Service

DOMAIN = "bounces.relay.example"
PATHS = ReturnPaths(factories.MASTER_KEY, DOMAIN)
NOT_OURS = ReturnPaths(b"\1" * 32, DOMAIN)
CASES = returned.cases()
NOW = datetime.now(UTC)
LATER = ("bounced", "complained", "unsubscribed", "notified")


@dataclass
class Followed:
    """What came of a case: (kind, recipient, category) of its events, who is suppressed."""

    events: list[tuple[str, str, str]] = field(default_factory=list)
    suppressed: list[tuple[str, str]] = field(default_factory=list)


def queue_id(number: int) -> str:
    """Made in the year 2596, so that no test is too late."""
    return f"zzzzzz{number:05}z{number:x}"


def a_labels(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


def expected(case: Case) -> Followed:
    """Of a message to several each of them may have written the report about any other, so it
    suppresses nobody (`franking.mail.suppressing`)."""
    wanted = Followed()
    if not case.recorded:
        return wanted
    sent = {address.lower(): address for address in case.sent}
    only = case.sent[0] if len(case.sent) == 1 else None
    if case.kind in ("complaint", "unsubscribe"):
        kind = "complained" if case.kind == "complaint" else "unsubscribed"
        named = [sent.get(who.lower(), only) for who in case.complainers] or [only]
        wanted.events = [(kind, who or "", "") for who in named]
        if only or case.kind == "unsubscribe":
            wanted.suppressed = [(a_labels(who), "stream") for who in named if who]
    elif case.kind in ("dsn", "heuristic"):
        for who, action, category in case.outcomes:
            recipient = sent.get(who.lower(), only)
            if action != "failed" or recipient is None:
                continue
            wanted.events.append(("bounced", recipient, category))
            at_once = CATEGORIES[category].suppress == "at once"
            if case.kind == "dsn" and at_once and only and case.suppressing:
                wanted.suppressed.append((a_labels(recipient), "account"))
    wanted.events.sort()
    wanted.suppressed.sort()
    return wanted


class Senders:
    """Accounts, as few as give each address of each case an account of its own."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._plan = factories.plan(session)
        self._accounts: list[tuple[int, str, set[str]]] = []
        self.cases: dict[tuple[int, str], int] = {}  # (account, address) → number of the case

    def of(self, number: int, addresses: Collection[str]) -> str:
        """The user name for this case."""
        own = {a_labels(address) for address in addresses}
        for account_id, username, taken in [*self._accounts, self._another()]:
            if not own & taken:
                taken.update(own)
                self.cases |= {(account_id, address): number for address in own}
                return username
        raise AssertionError("a new account has no addresses yet")

    def _another(self) -> tuple[int, str, set[str]]:
        if self._accounts and not self._accounts[-1][2]:
            return self._accounts[-1]
        owner = factories.funded(self._session, on=self._plan)
        username = factories.credential(self._session, owner).credential.username
        self._accounts.append((owner.id, username, set()))
        return self._accounts[-1]


@pytest.fixture
def service(
    settings: Settings, tmp_path: Path, database: Database
) -> Iterator[tuple[Service, Senders]]:
    """With the mail of every case in its Maildir."""
    new = tmp_path / "mail" / "new"
    new.mkdir(parents=True)
    with database.transaction() as session:
        domain = factories.verified_domain(session, factories.account(session))
        senders = Senders(session)
        for number, case in enumerate(CASES):
            made, name = queue_id(number), senders.of(number, case.sent)
            factories.message(session, name, domain.id, made, NOW, recipients=case.sent)
            ended = [Attempt(made, address, "delivered", NOW) for address in case.sent]
            events.record(session, "n1", ended)
            places = Places(PATHS.reference(made), DOMAIN, made, NOT_OURS.reference(made))
            (new / f"{number:05}").write_bytes(case.message(places))
    own = settings.model_copy(
        update={"bounces": Bounces(domain=DOMAIN), "inbound": Inbound(maildir=tmp_path / "mail")}
    )
    worker = Service(own, Stop())
    yield worker, senders
    worker._database.close()


def test_whom_it_is_about_is_known_and_nobody_is_suppressed_by_strangers(
    service: tuple[Service, Senders], database: Database, tmp_path: Path
) -> None:
    """98 in 100 have the right events, and no suppression is there that should not be."""
    worker, senders = service
    while worker.turn():
        pass
    assert list((tmp_path / "mail" / "new").iterdir()) == []
    numbers = {queue_id(number): number for number in range(len(CASES))}
    found: defaultdict[int, Followed] = defaultdict(Followed)
    with database.session() as session:
        for event in session.scalars(select(Event).where(Event.kind.in_(LATER))):
            row = (event.kind, event.recipient or "", event.category or "")
            found[numbers[event.queue_id or ""]].events.append(row)
        for entry in session.scalars(select(Suppression)):
            number = senders.cases[entry.account_id, entry.address]
            found[number].suppressed.append((entry.address, entry.scope))
        tallies = {row.name: row.count for row in session.scalars(select(Tally))}
    wrong, forged = [], []
    for number, case in enumerate(CASES):
        got, wanted = found[number], expected(case)
        if (sorted(got.events), sorted(got.suppressed)) != (wanted.events, wanted.suppressed):
            wrong.append(f"{case.name}: {got}, not {wanted}")
        if set(got.suppressed) - set(wanted.suppressed):
            forged.append(f"{case.name}: {got.suppressed}")
    assert forged == []
    assert len(wrong) <= len(CASES) * 0.02, "\n".join(wrong)
    answers = sum(case.kind == "automatic" for case in CASES)
    assert tallies["inbound_automatic_reply"] == answers
    assert tallies["inbound_forged"] == sum(case.forged for case in CASES)
