"""The list itself: scopes, both forms of a domain, bad input, tenants."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.mail import suppressions
from franking.reasons import Invalid, NotFound, Taken
from tests import factories


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as open_now:
        yield open_now


@pytest.fixture
def owner(session: Session) -> Account:
    return factories.account(session, "acme")


def matching(session: Session, owner: Account, *addresses: str, domain: str = "") -> set[str]:
    return set(suppressions.matching(session, owner.id, addresses, domain, "default"))


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
    found = suppressions.matching(session, owner.id, ["a@x.yz"], "", "default")
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
    ],
)
def test_bad_input(session: Session, owner: Account, values: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        suppressions.add(session, owner, **values)  # type: ignore[arg-type]


def test_accounts_are_apart_and_pages_follow(session: Session, owner: Account) -> None:
    other = factories.account(session, "other")
    for number in range(5):
        suppressions.add(session, owner, f"a{number}@x.yz")
        suppressions.add(session, other, f"b{number}@x.yz")
    first = [row.address for row in suppressions.search(session, owner, limit=3)]
    rest = [row.address for row in suppressions.search(session, owner, after=first[-1])]
    assert first + rest == [f"a{number}@x.yz" for number in range(5)]
    assert [r.address for r in suppressions.search(session, owner, text="A3")] == ["a3@x.yz"]
