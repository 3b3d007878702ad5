"""Cuts the accounting log: everything that was written since the last cut goes into files.

Events come in the order of `franking.mail.reading`, in which nothing appears behind a reader: so
each is in exactly one file of its account, also one that is told days late.  A file's name says
when it was cut; when something happened, the event says.

    1. read, and write the files below `.staging`, synced     nothing is promised yet
    2. one transaction: the reader is where it was when we began?  Rows, and the reader moves
    3. publish: rename into the account's folder              `franking.accounting.publishing`

Killed before 2, it is all done again; killed after it, the next cut begins with 3.  Two that cut at
once do the same work, and one of them finds in 2 that it was for nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from franking import failpoints
from franking.accounting import files, publishing, retention
from franking.accounting.config import Accounting
from franking.accounting.models import AccountingFile
from franking.accounting.spool import Key, Spool, Staged
from franking.accounts.models import Account
from franking.db import Database
from franking.mail import reading
from franking.mail.models import EventReader
from franking.mail.published import document
from franking.mail.reading import Place

READER = "accounting"
BATCH = 1000  # events of one query
EVENTS = 50_000  # of one cut; a busy hour has several


def begun_at(rules: Accounting, at: datetime) -> datetime:
    """When the period began that a moment is in."""
    return at.replace(minute=at.minute - at.minute % rules.minutes, second=0, microsecond=0)


class Cutter:
    def __init__(self, database: Database, rules: Accounting, directory: Path) -> None:
        self._database = database
        self._rules = rules
        self._directory = directory

    def round(self, until: datetime, now: datetime) -> int:
        """A cut, and everything that follows: what is too old goes, manifests are written."""
        count = self.cut(until, now)
        retention.retire(self._database, now)
        publishing.manifests(self._database, self._directory, now)
        retention.remove(self._database, self._directory, now)
        return count

    def cut(self, until: datetime, now: datetime) -> int:
        """Everything that there is; `until` names the files.  Returns how many events that were,
        those of accounts without files included."""
        publishing.recover(self._database, self._directory, now)
        total = 0
        hour = begun_at(self._rules, until - timedelta(microseconds=1))
        while count := self._once(hour, now):
            total += count
        return total

    def _once(self, hour: datetime, now: datetime) -> int:
        with Spool(self._directory / files.STAGING, self._rules.compression) as spool:
            begun = self._place()
            reached, count = self._fill(spool, begun)
            staged = spool.finish()
            failpoints.passing("accounting.staged")
            with self._database.transaction() as session:
                if reading.place(session, READER) != begun:
                    return 0  # somebody else has cut meanwhile
                rows = self._record(session, staged, hour, now)
                reading.move(session, READER, reached, now)
        failpoints.passing("accounting.committed")
        publishing.publish(self._database, self._directory, rows)
        failpoints.passing("accounting.published")
        return count

    def _place(self) -> Place:
        with self._database.session() as session:
            found = session.get(EventReader, READER)
            return Place() if found is None else Place(found.xid, found.event_id)

    def _fill(self, spool: Spool, place: Place) -> tuple[Place, int]:
        """How far it has got, over how many events."""
        count = 0
        wanted: dict[int, bool] = {}
        while count < EVENTS:
            with self._database.session() as session:
                rows = reading.following(session, place, BATCH)
                for row in rows:
                    if row.account_id not in wanted:
                        account = session.get_one(Account, row.account_id)
                        wanted[row.account_id] = files.allowed(account)
                    if wanted[row.account_id]:
                        spool.add(row.account_id, row.id, document(row))
            if not rows:
                break
            count += len(rows)
            place = Place(rows[-1].xid, rows[-1].id)
        return place, count

    def _record(
        self, session: Session, staged: dict[Key, Staged], hour: datetime, now: datetime
    ) -> list[AccountingFile]:
        last = _last_sequences(session, {account_id for account_id, _ in staged})
        rows = []
        for (account_id, form), file in staged.items():
            sequence = last.get((account_id, form), 0) + 1
            rows.append(
                AccountingFile(
                    account_id=account_id, format=form, sequence=sequence, hour=hour,
                    name=files.name_of(hour, sequence, form, self._rules.compression),
                    size=file.size, sha256=file.sha256, events=file.events,
                    first_event_id=file.first_event_id, last_event_id=file.last_event_id,
                    created_at=now,
                )
            )  # fmt: skip
        session.add_all(rows)
        session.flush()
        return rows


def _last_sequences(session: Session, accounts: set[int]) -> dict[Key, int]:
    query = select(
        AccountingFile.account_id, AccountingFile.format, func.max(AccountingFile.sequence)
    ).where(AccountingFile.account_id.in_(accounts))
    found = session.execute(query.group_by(AccountingFile.account_id, AccountingFile.format))
    return {(account_id, form): sequence for account_id, form, sequence in found}
