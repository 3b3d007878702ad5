"""The list itself: scopes, both forms of a domain, bad input, tenants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.mail import suppression_pages, suppressions
from franking.mail.models import Event
from franking.mail.suppression_pages import Filter
from franking.reasons import Invalid, NotFound, Taken
from tests import factories

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
ALL = Filter()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as open_now:
        yield open_now


@pytest.fixture
def owner(session: Session) -> Account:
    return factories.account(session, "acme")


def matching(session: Session, owner: Account, *addresses: str, domain: str = "") -> set[str]:
    return set(suppressions.matching(session, owner.id, addresses, domain, "default", now=NOW))


def test_both_forms_of_a_domain_are_one(session: Session, owner: Account) -> None:
    suppressions.add(session, owner, "Joe@Bücher.example")
    both = ("joe@bücher.example", "joe@xn--bcher-kva.example")
    assert matching(session, owner, *both) == set(both)


def test_what_holds_for_a_domain_holds_below_it(session: Session, owner: Account) -> None:
    suppressions.add(session, owner, "a@x.yz", scope="domain", scope_name="Example.com")
    for domain, found in (
        ("example.com", True),
        ("news.example.com", True),
        ("badexample.com", False),
        ("", False),
    ):
        assert bool(matching(session, owner, "a@x.yz", domain=domain)) == found


def test_the_narrowest_scope_speaks(session: Session, owner: Account) -> None:
    suppressions.add(session, owner, "a@x.yz", reason="manual")
    suppressions.add(
        session, owner, "a@x.yz", reason="complaint", scope="stream", scope_name="default"
    )
    found = suppressions.matching(session, owner.id, ["a@x.yz"], "", "default", now=NOW)
    assert found["a@x.yz"].reason == "complaint"


def test_added_twice_and_removed_twice(session: Session, owner: Account) -> None:
    suppressions.add(session, owner, "a@x.yz")
    with pytest.raises(Taken):
        suppressions.add(session, owner, "A@X.yz")
    suppressions.remove(session, owner, "A@x.yz")
    with pytest.raises(NotFound):
        suppressions.remove(session, owner, "a@x.yz")


@pytest.mark.parametrize(
    "values",
    [
        {"address": "nobody"},
        {"address": "a@x.yz", "reason": "because"},
        {"address": "a@x.yz", "scope": "world"},
        {"address": "a@x.yz", "scope": "domain"},
        {"address": "a@x.yz", "scope": "domain", "scope_name": "no domain"},
        {"address": "a@x.yz", "expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
)
def test_bad_input(session: Session, owner: Account, values: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        suppressions.add(session, owner, **values)


def found(session: Session, owner: Account, wanted: Filter = ALL, **more: Any) -> list[str]:
    page = suppression_pages.search(session, owner, wanted, more.pop("now", NOW), **more)
    return [listed.entry.address for listed in page]


def test_accounts_are_apart_and_pages_follow(session: Session, owner: Account) -> None:
    other = factories.account(session, "other")
    for number in range(5):
        suppressions.add(session, owner, f"a{number}@x.yz")
        suppressions.add(session, owner, f"a{number}@x.yz", scope="stream", scope_name="news")
        suppressions.add(session, other, f"b{number}@x.yz")
    pages, before = [], None
    while page := suppression_pages.search(session, owner, ALL, NOW, before=before, limit=3):
        pages += [listed.entry.address for listed in page]
        before = page[-1].entry.id
    assert pages == [f"a{number}@x.yz" for number in (4, 4, 3, 3, 2, 2, 1, 1, 0, 0)]


def test_searching(session: Session, owner: Account) -> None:
    suppressions.add(session, owner, "anna@bücher.example")
    bert = suppressions.add(
        session, owner, "bert_@x.yz", reason="complaint", scope="stream", scope_name="news"
    )
    assert bert.scope_name == "news"
    for text, addresses in (
        ("ANNA", ["anna@xn--bcher-kva.example"]),
        ("anna@bücher.example", ["anna@xn--bcher-kva.example"]),
        ("bücher.example", ["anna@xn--bcher-kva.example"]),
        (" bert_ ", ["bert_@x.yz"]),
        ("_", ["bert_@x.yz"]),
        ("%", []),
        ("x.yz", ["bert_@x.yz"]),
        ("nobody", []),
    ):
        assert found(session, owner, Filter(text=text)) == addresses, text
    assert found(session, owner, Filter(reason="complaint")) == ["bert_@x.yz"]
    assert found(session, owner, Filter(scope="account")) == ["anna@xn--bcher-kva.example"]
    assert found(session, owner, Filter("anna", scope="stream")) == []


def test_what_is_over_is_not_there(session: Session, owner: Account) -> None:
    until = NOW + timedelta(days=1)
    suppressions.add(session, owner, "a@x.yz", note="first", expires_at=until, now=NOW)
    assert matching(session, owner, "a@x.yz") == {"a@x.yz"}
    with pytest.raises(Taken):
        suppressions.add(session, owner, "a@x.yz", now=NOW)
    assert not suppressions.matching(session, owner.id, ["a@x.yz"], "", "default", now=until)
    assert found(session, owner, now=until) == []
    assert suppressions.add(session, owner, "a@x.yz", now=until).expires_at is None
    assert found(session, owner, now=until) == ["a@x.yz"]


def test_an_entry_leads_to_what_caused_it(session: Session, owner: Account) -> None:
    event = Event(account_id=owner.id, node="n1", queue_id="Q1", kind="bounced", detail={})
    session.add(event)
    session.flush()
    for address, number in (("a@x.yz", event.id), ("b@x.yz", 99), ("c@x.yz", None)):
        suppressions.add(session, owner, address).event_id = number
    listed = suppression_pages.search(session, owner, ALL, NOW)
    assert [each.event for each in listed] == [None, None, event]


def test_only_ones_own_entries_are_removed(session: Session, owner: Account) -> None:
    other = factories.account(session, "other")
    mine = [suppressions.add(session, owner, f"{name}@x.yz").id for name in "cab"]
    foreign = suppressions.add(session, other, "d@x.yz").id
    gone = suppressions.remove_several(session, owner, [*mine[:2], foreign, 12345])
    assert [row.address for row in gone] == ["a@x.yz", "c@x.yz"]
    assert found(session, owner) == ["b@x.yz"]
    assert found(session, other) == ["d@x.yz"]
