"""The loop of `franking-worker inbound`: one message at a time, by the mailbox it was sent to.

A handler that raises `Refused` has said that the message is of no use; it is set aside and counted,
as is one that a bug of ours has tripped over.  One that is early (`NotYet`: the mail log has not
been read so far) is tried again for an hour.  While the database has trouble, everything stays
where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Event

from sqlalchemy.exc import DataError, SQLAlchemyError

from franking import log
from franking.db import Database, utcnow
from franking.mail.late import NotYet
from franking.mail.mailboxes import Kind, Mailboxes
from franking.mail.returnpath import Expired, Forged, ReturnPaths
from franking.nodes import tallies
from franking.notify import notify
from franking.reasons import Refused
from franking.settings import Settings
from worker.inbound.bounces import Bounces
from worker.inbound.maildir import RETRY_AFTER, Mail, Maildir
from worker.inbound.reports import Reports

EVERY = 1.0  # seconds between looks at an empty Maildir
BATCH = 100
FIRST_WAIT, LONGEST_WAIT = 1.0, 3600.0  # seconds, for the mail log
NO_HANDLER = "it is for none of our domains"


# Done when it returns; raises Refused for what cannot be used, and NotYet.
Handler = Callable[[Mail, datetime], None]


class Service:
    def __init__(self, settings: Settings, stop: Event) -> None:
        self._stop = stop
        self.unusable = 0  # messages since the start
        self._database = Database(settings.database_url)
        self._node = settings.node
        self._maildir = Maildir(settings.inbound.maildir)
        self._longest = settings.inbound.longest_message
        self._mailboxes = Mailboxes.of(settings)
        self._handlers: dict[Kind, Handler] = {"report": Reports(self._database, settings).take}
        if (paths := ReturnPaths.of(settings)) is not None:
            bounces = Bounces(self._database, settings, paths)
            self._handlers |= {
                "bounce": bounces.returned,
                "complaint": bounces.complaints,
                "unsubscribe": bounces.unsubscribe,
            }

    def run(self) -> None:
        """Until `stop` is set."""
        notify("READY=1")
        while not self._stop.is_set():
            done = self.turn()
            notify("WATCHDOG=1")
            if not done:
                self._stop.wait(EVERY)
        self._database.close()

    def turn(self) -> int:
        """Everything that is there; returns how many are gone from the Maildir.  Never raises."""
        done = 0
        try:
            for path in self._maildir.waiting(BATCH):
                if not self._stop.is_set():
                    done += self._tried(path)
                    notify("WATCHDOG=1")
        except SQLAlchemyError as error:
            log.database_trouble("inbound", error)
            return 0
        except OSError as error:
            log.unexpected("inbound", error)
        return done

    def _tried(self, path: Path) -> bool:
        """One file that cannot be opened, or not moved, does not keep the others waiting."""
        try:
            self._one(path)
        except OSError as error:
            log.unexpected(f"inbound: {path.name}", error)
            self._maildir.failed(path)
            return False
        return True

    def _one(self, path: Path) -> None:
        mail = self._maildir.read(path, self._longest)
        try:
            self._handle(mail)
        except NotYet as early:
            age = (utcnow() - mail.arrived).total_seconds()
            if age > LONGEST_WAIT:
                self._useless(mail, early)
            else:
                self._maildir.failed(path, min(max(age, FIRST_WAIT), RETRY_AFTER))
        except Refused as why:
            self._useless(mail, why)
        except DataError as error:  # the message's fault: it would be in the way for ever
            log.unexpected(f"inbound: {path.name}", error)
            self._maildir.set_aside(path)
        except (SQLAlchemyError, OSError):
            raise
        except Exception as error:
            log.unexpected(f"inbound: {path.name}", error)
            self._maildir.set_aside(path)
        else:
            self._maildir.done(mail)

    def _handle(self, mail: Mail) -> None:
        kind = self._mailboxes.kind(mail.recipient, mail.arrived)
        if kind is None:
            raise Refused(NO_HANDLER)
        self._handlers[kind](mail, utcnow())

    def _useless(self, mail: Mail, why: Refused) -> None:
        self.unusable += 1
        log.inbound_unusable(mail.recipient, mail.path.name, str(why), self.unusable)
        self._count(why)
        self._maildir.set_aside(mail.path)

    def _count(self, why: Refused) -> None:
        names: dict[type[Refused], tallies.Name] = {
            Forged: "inbound_forged",
            Expired: "inbound_expired",
        }
        with self._database.transaction() as session:
            tallies.add(session, self._node, names.get(type(why), "inbound_unusable"))
