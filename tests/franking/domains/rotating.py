"""One domain whose keys rotate, the clock and what everybody sees of its records in our hands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from franking.domains import ownership
from franking.domains.config import Dkim
from franking.domains.keys import keys_of
from franking.domains.models import DkimKey, Domain, ZoneEntry
from franking.domains.records import Record, dkim_value
from franking.domains.rotation import steps
from franking.mail.authority import signing_domain
from franking.notices.models import Notice
from tests import factories

START = datetime(2026, 1, 10, 9, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
TTL = timedelta(seconds=3600)  # of the customer's records
OWN = Dkim(zone="keys.relay.example")


class Rotating:
    """`visible`: name → text, or nobody's answer; the customer's doing.  With `telling` the relay's
    own zone always has what it shall have."""

    def __init__(
        self, session: Session, own: Dkim = OWN, *, method: ownership.Method = "txt",
        verified: bool = True, by: str = "dns",
    ) -> None:  # fmt: skip
        self.session = session
        self.own = own
        self.now = START
        self.visible: dict[str, str | None] = {}
        self.telling = True
        account = factories.account(self.session)
        domain = ownership.add(
            self.session, account, "example.com", master_key=factories.MASTER_KEY, now=START,
            dkim=own, method=method,
        )  # fmt: skip
        if verified:
            ownership.mark_verified(self.session, domain, by=by, now=START)
        self.domain_id, self.account_id = domain.id, account.id
        self.tell()

    def seen(self, record: Record) -> bool | None:
        text = self.visible.get(record.name, "")
        return None if text is None else text == record.value

    def step(self, later: timedelta = timedelta()) -> list[str]:
        self.now += later
        done = steps.step(
            self.session, self.domain(), self.now, own=self.own,
            master_key=factories.MASTER_KEY, seen=self.seen,
        )  # fmt: skip
        self.tell()
        return done

    def until(self, moment: datetime, each: timedelta = DAY) -> list[str]:
        """Day by day up to that moment, steps where they are due; all that was done."""
        done = []
        while self.now + each <= moment:
            self.now += each
            if steps.due(self.session, self.now, 1):
                done += self.step()
        return done

    def begin(self, selector: str | None = None) -> list[str]:
        """By hand; the selectors to come."""
        coming = steps.begin(
            self.session, self.domain(), self.now, own=self.own,
            master_key=factories.MASTER_KEY, selector=selector,
        )  # fmt: skip
        found = [key.selector for key in coming]
        self.tell()
        return found

    def switch(self, method: steps.Method) -> list[str]:
        coming = steps.switch_method(
            self.session, self.domain(), method, self.now, own=self.own,
            master_key=factories.MASTER_KEY,
        )  # fmt: skip
        found = [key.selector for key in coming]
        self.tell()
        return found

    def tell(self) -> None:
        """What a server of the zone would be told, and the CNAMEs lead there."""
        if not self.telling:
            return
        untold = ZoneEntry.value.is_distinct_from(ZoneEntry.published)
        told = {"published": ZoneEntry.value, "published_at": self.now}
        if (
            not self.session.connection()
            .execute(update(ZoneEntry).where(untold).values(told))
            .rowcount
        ):
            return
        for name in [name for name in self.visible if name.startswith("frank")]:
            del self.visible[name]
        for key in self.rows():
            if key.method == "cname":
                self.visible[self.name(key.selector)] = dkim_value(key)

    def publish(self, *selectors: str) -> None:
        """The customer does as asked."""
        for key in self.rows():
            if key.selector in selectors:
                self.visible[self.name(key.selector)] = dkim_value(key)

    def name(self, selector: str) -> str:
        return f"{selector}._domainkey.example.com"

    def domain(self) -> Domain:
        return self.session.get_one(Domain, self.domain_id)

    def change(self, how: Callable[[Domain], object]) -> None:
        how(self.domain())

    def rows(self) -> Sequence[DkimKey]:
        return keys_of(self.session, self.domain())

    def states(self) -> dict[str, str]:
        return {key.selector: key.state for key in self.rows()}

    def signing(self) -> list[str]:
        """Selectors that the milter would sign with."""
        found = signing_domain(self.session, self.account_id, "example.com")
        return [key.selector for key in found.keys] if found else []

    def entries(self) -> dict[str, tuple[str | None, str | None]]:
        """Slot → what its row of the zone shall be and what the server was told."""
        rows = self.session.scalars(select(ZoneEntry).order_by(ZoneEntry.name)).all()
        return {row.name.partition(".")[0]: (row.value, row.published) for row in rows}

    def notices(self, kind: str) -> list[Notice]:
        query = select(Notice).where(Notice.kind == kind).order_by(Notice.id)
        return list(self.session.scalars(query))
