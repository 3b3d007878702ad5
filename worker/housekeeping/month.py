"""What is done once a month for all accounts: fees are charged, last month's invoices are issued.

One node does it for all that share the database (`franking.nodes.duties`); one that dies over it is
followed by another when its lease is over.  Each account has a transaction of its own, and nothing
is done twice: a fee has one reference, an account one invoice for a month.

An account that is refused does not stop the others: it gets a duty of its own for this month, which
is due every hour until it is done, also when the next month's have long been issued.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from threading import Event
from typing import Literal

from sqlalchemy.orm import Session

from franking import log
from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.money.pricing import period_of
from franking.money.statements import fees, invoice, months
from franking.money.statements.config import Invoices
from franking.nodes import duties
from franking.reasons import NotFound, Refused, Taken

FEES, INVOICES = "monthly fees", "invoices"
LEASE = timedelta(hours=1)
REFUSALS = {FEES: log.fee_not_charged, INVOICES: log.invoice_not_issued}

# For an account and the month that begins on the date; whether there was anything to do.
Work = Callable[[Session, int, date], bool]


class Month:
    def __init__(
        self, database: Database, node: str, settings: Invoices, stop: Event,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:  # fmt: skip
        self._database = database
        self._node = node
        self._settings = settings
        self._stop = stop
        self._clock = clock

    def look(self) -> None:
        """Whatever is due; fees first, although only next month's invoices show them."""
        self._charge_fees()
        self._try_again(FEES, self._fee)
        if self._settings.issuer_name:
            self._issue_invoices()
            self._try_again(INVOICES, self._invoice)

    def _charge_fees(self) -> None:
        now = self._clock()
        if not self._takes(FEES, now):
            return
        period = period_of(now)
        with self._database.session() as session:
            payers = fees.payers(session, period)
        charged = self._each(FEES, self._fee, period, payers)
        self._finish(FEES, f"{period:%Y-%m}", charged, months.start(months.following(period)))

    def _issue_invoices(self) -> None:
        now = self._clock()
        period = months.preceding(period_of(now))
        if now < invoice.issuable_from(period) or not self._takes(INVOICES, now):
            return
        with self._database.snapshot() as session:  # may read for long
            accounts = invoice.open_accounts(session, period)
        issued = self._each(INVOICES, self._invoice, period, accounts)
        due_at = invoice.issuable_from(months.following(period))
        self._finish(INVOICES, f"{period:%Y-%m}", issued, due_at)

    def _fee(self, session: Session, account_id: int, period: date) -> bool:
        return fees.charge(session, account_id, period, self._clock())

    def _invoice(self, session: Session, account_id: int, period: date) -> bool:
        account = session.get_one(Account, account_id)
        invoice.issue(session, self._settings, account, period, self._clock())
        return True

    def _each(self, name: str, work: Work, period: date, accounts: Iterable[int]) -> int:
        """For how many it was done."""
        count = 0
        for account_id in accounts:
            if self._stop.is_set():
                break
            outcome = self._attempt(name, work, period, account_id)
            count += outcome == "done"
            if outcome == "refused":
                own = f"{name}/{period:%Y-%m}/{account_id}"
                with self._database.transaction() as session:
                    duties.introduce(session, own, due_at=self._clock() + LEASE)
        return count

    def _try_again(self, name: str, work: Work) -> None:
        """What was refused an hour ago or more; its lease is the time until the next try."""
        now = self._clock()
        with self._database.session() as session:
            left = duties.waiting(session, f"{name}/", now, period=LEASE)
        for own in left:
            if self._stop.is_set() or not self._takes(own, now, LEASE):
                continue
            _, month, account_id = own.split("/")
            period = date.fromisoformat(f"{month}-01")
            if self._attempt(name, work, period, int(account_id)) != "refused":
                with self._database.transaction() as session:
                    duties.drop(session, own, self._node)

    def _attempt(
        self, name: str, work: Work, period: date, account_id: int
    ) -> Literal["done", "nothing", "refused"]:
        try:
            with self._database.transaction() as session:
                return "done" if work(session, account_id, period) else "nothing"
        except (Taken, NotFound):
            return "nothing"  # another node has, or there is nothing to be invoiced after all
        except Refused as reason:
            REFUSALS[name](account_id, f"{period:%Y-%m}: {reason}")
            return "refused"

    def _takes(self, name: str, now: datetime, period: timedelta = duties.MONTH) -> bool:
        return duties.begin(self._database, name, self._node, lease=LEASE, now=now, period=period)

    def _finish(self, name: str, period: str, count: int, due_at: datetime) -> None:
        """Not when we were stopped over it: the lease is then the shorter way."""
        if self._stop.is_set():
            return
        with self._database.transaction() as session:
            duties.finish(session, name, self._node, due_at=due_at)
        log.month_done(name, period, count)
