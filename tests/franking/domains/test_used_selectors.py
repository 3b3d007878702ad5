"""No selector of a domain name has two keys, ever: receivers remember the first one's record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.domains import keys, ownership, removal, used
from franking.domains.config import Dkim
from franking.domains.models import Domain
from franking.domains.rotation import steps
from franking.reasons import Taken
from tests import factories
from tests.franking.domains.rotating import DAY, OWN, START, Rotating

BOTH = Dkim(ed25519=True)


def add(session: Session, account: Account, own: Dkim = OWN) -> Domain:
    return ownership.add(
        session, account, "example.com", master_key=factories.MASTER_KEY, now=START, dkim=own
    )


def selectors(session: Session, domain: Domain) -> Sequence[str]:
    return [key.selector for key in keys.keys_of(session, domain)]


def test_added_again(database: Database) -> None:
    with database.transaction() as session:
        account = factories.account(session)
        domain = add(session, account)
        assert selectors(session, domain) == ["s2026q1"]
        removal.remove(session, domain, START)
    with database.transaction() as session:
        again = add(session, session.get_one(Account, account.id), BOTH)
        assert selectors(session, again) == ["s2026q1-2", "s2026q1e"]


def test_two_accounts(database: Database) -> None:
    """Old and new record stand side by side until one of them has proved the domain."""
    with database.transaction() as session:
        one, two = (add(session, factories.account(session), BOTH) for _ in range(2))
        assert selectors(session, one) == ["s2026q1", "s2026q1e"]
        assert selectors(session, two) == ["s2026q1-2", "s2026q1-2e"]


def test_another_name_is_another_matter(database: Database) -> None:
    with database.transaction() as session:
        account = factories.account(session)
        add(session, account)
        other = ownership.add(
            session, account, "example.org", master_key=factories.MASTER_KEY, now=START
        )
        assert selectors(session, other) == ["s2026q1"]


def test_twice_in_a_quarter(database: Database) -> None:
    """The first key's row is gone by the time of the third."""
    with database.transaction() as session:
        of = Rotating(session)
        for expected in ("s2026q1-2", "s2026q1-3", "s2026q1-4"):
            assert of.begin() == [expected]
            of.publish(expected)
            of.until(of.now + 16 * DAY)
            assert of.states() == {expected: "active"}


def test_by_hand_neither(database: Database) -> None:
    with database.transaction() as session:
        of = Rotating(session)
        assert of.begin("mine") == ["mine"]
        of.publish("mine")
        of.until(of.now + 2 * DAY)
        of.begin()
        of.publish(*of.states())
        of.until(of.now + 20 * DAY)
        assert "mine" not in of.states()
        with pytest.raises(Taken, match="has had a key mine already"):
            of.begin("mine")


def test_a_key_from_before_selectors_were_noted(database: Database) -> None:
    with database.transaction() as session:
        domain = add(session, factories.account(session))
        key = keys.keys_of(session, domain)[0]
        key.selector = "older"
        assert not used.claim(session, domain, "older")
        assert used.claim(session, domain, "newer") and not used.claim(session, domain, "newer")


def test_the_operators_word_makes_no_errands(database: Database) -> None:
    """Of a domain that was never proved, nobody may be there to publish anything."""
    with database.transaction() as session:
        of = Rotating(session, by="assumed")
        assert of.until(START + 200 * DAY) == []
        assert (of.states(), of.notices("dkim.publish")) == ({"s2026q1": "active"}, [])
        assert steps.preview(session, of.domain(), of.now, OWN).to_make == []
        assert of.begin() == ["s2026q3"], "by hand"
        of.publish("s2026q3")
        assert of.until(of.now + 2 * DAY) == ["key s2026q3 signs"]


def test_what_waits_for_the_customer_is_not_looked_at_all_the_time(database: Database) -> None:
    """A key that is announced for a fortnight costs an hour's look, not one at every turn."""
    with database.transaction() as session:
        of = Rotating(session)
        of.until(START.replace(month=4) - 10 * DAY)
        of.step()
        due = of.domain().dkim_due_at
        assert due is not None and due == of.now + timedelta(hours=1)


def test_keys_made_beforehand_are_taken_once(database: Database) -> None:
    with database.transaction() as session:
        pairs = keys.prepared(BOTH)
        account = factories.account(session)
        domain = ownership.add(
            session, account, "example.com", master_key=factories.MASTER_KEY, dkim=BOTH,
            pairs=pairs,
        )  # fmt: skip
        ownership.mark_verified(session, domain, by="dns")
        made = [key.public_key for key in keys.keys_of(session, domain)]
        steps.begin(session, domain, START, own=BOTH, master_key=factories.MASTER_KEY, pairs=pairs)
        assert len(made) == 2 and len({k.public_key for k in keys.keys_of(session, domain)}) == 4
