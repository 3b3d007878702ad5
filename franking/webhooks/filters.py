"""Which of an account's events an endpoint gets.

An empty list is all of them.  What is said of domains, credentials, tags and streams chooses among
mail's events; notices, which are about the account, come whenever their kind is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.credential_options import check_stream
from franking.accounts.models import Account, Credential
from franking.domains.models import Domain
from franking.domains.names import to_ascii, within
from franking.mail.models import EVENT_KINDS
from franking.notices.kinds import KINDS as NOTICE_KINDS
from franking.reasons import Invalid
from franking.webhooks.models import Endpoint

MAIL_KINDS = EVENT_KINDS
KINDS = MAIL_KINDS + NOTICE_KINDS
MOST = 50  # of one list
LONGEST_TAG = 250  # characters


@dataclass(frozen=True)
class Filters:
    """`credentials` are user names; a domain stands for its subdomains, too."""

    domains: Sequence[str] = ()
    credentials: Sequence[str] = ()
    tags: Sequence[str] = ()
    streams: Sequence[str] = ()


EVERYTHING = Filters()


def known(events: Iterable[str]) -> list[str]:
    """As they are stored.  Raises Invalid."""
    wanted = set(events)
    unknown = sorted(wanted - set(KINDS))
    if unknown:
        raise Invalid.of("events", f"{unknown[0]!r} is no event; there are {', '.join(KINDS)}")
    return sorted(wanted, key=KINDS.index)


def store(session: Session, account: Account, endpoint: Endpoint, filters: Filters) -> None:
    """Raises Invalid for what can never match: no domain or credential of the account."""
    endpoint.domains = _list("domains", map(_name, filters.domains))
    _all_there(session, "domains", Domain.name, Domain.account_id == account.id, endpoint.domains)
    endpoint.credentials = _list("credentials", filters.credentials)
    own = Credential.account_id == account.id
    _all_there(session, "credentials", Credential.username, own, endpoint.credentials)
    endpoint.tags = _list("tags", filters.tags)
    endpoint.streams = _list("streams", filters.streams)
    for tag in endpoint.tags:
        if len(tag) > LONGEST_TAG:
            raise Invalid.of("tags", f"a tag has at most {LONGEST_TAG} characters")
    for stream in endpoint.streams:
        try:
            check_stream(stream)
        except Invalid as error:
            raise Invalid.of("streams", str(error)) from error


def filters_of(endpoint: Endpoint) -> Filters:
    return Filters(endpoint.domains, endpoint.credentials, endpoint.tags, endpoint.streams)


def _name(domain: str) -> str:
    try:
        return to_ascii(domain)
    except Invalid as error:
        raise Invalid.of("domains", str(error)) from error


def _list(field: str, values: Iterable[str]) -> list[str]:
    found = sorted({value.strip() for value in values} - {""})
    if len(found) > MOST:
        raise Invalid.of(field, f"at most {MOST}")
    return found


def _all_there(session: Session, field: str, column: Any, own: Any, names: Sequence[str]) -> None:
    if not names:
        return
    there = set(session.scalars(select(column).where(own, column.in_(names))))
    for name in names:
        if name not in there:
            raise Invalid.of(field, f"the account has no {field.removesuffix('s')} {name!r}")


@dataclass(frozen=True)
class Wanting:
    """What one endpoint wants, to be asked of many events."""

    endpoint_id: int
    batch: int
    events: frozenset[str]
    domains: tuple[str, ...]
    credentials: frozenset[str]
    tags: frozenset[str]
    streams: frozenset[str]

    @classmethod
    def of(cls, endpoint: Endpoint) -> Wanting:
        return cls(
            endpoint.id, endpoint.batch, frozenset(endpoint.events), tuple(endpoint.domains),
            frozenset(endpoint.credentials), frozenset(endpoint.tags), frozenset(endpoint.streams),
        )  # fmt: skip

    def wants(self, row: Any) -> bool:
        """`row` as `franking.mail.reading` gives them."""
        return (
            (not self.events or row.kind in self.events)
            and (not self.credentials or row.credential in self.credentials)
            and (not self.streams or row.stream in self.streams)
            and (not self.tags or not self.tags.isdisjoint(row.tags or ()))
            and (not self.domains or self._of_domain(row))
        )

    def _of_domain(self, row: Any) -> bool:
        """The domain that vouched for the message, or the sender's own, below it; a refusal has
        only its sender."""
        sender = (row.sender or "").rpartition("@")[2].lower()
        return row.domain in self.domains or within(sender, self.domains)
