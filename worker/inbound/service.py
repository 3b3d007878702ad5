"""The loop of `franking-worker inbound`: one message at a time, by the domain it was sent to.

Handlers are asked by domain.  A handler that raises `Refused` has said that the message is of no
use; it is set aside, as is one that a bug of ours has tripped over.  While the database has
trouble, everything stays where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from franking import log
from franking.db import Database, utcnow
from franking.notify import notify
from franking.reasons import Refused
from franking.settings import Settings
from worker.inbound.maildir import Mail, Maildir
from worker.inbound.reports import Reports

EVERY = 1.0  # seconds between looks at an empty Maildir
BATCH = 100
NO_HANDLER = "it is for none of our domains"


class Handler(Protocol):
    def take(self, mail: Mail, now: datetime) -> None:
        """Done when it returns; raises Refused for what cannot be used."""


class Service:
    def __init__(self, settings: Settings, stop: Event) -> None:
        self._stop = stop
        self.unusable = 0  # messages since the start
        self._database = Database(settings.database_url)
        self._maildir = Maildir(settings.dmarc.maildir)
        self._longest = settings.dmarc.longest_report
        self._handlers: Mapping[str, Handler] = {
            settings.dmarc.reports.lower(): Reports(self._database, settings)
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
        except Refused as why:
            self.unusable += 1
            log.inbound_unusable(mail.recipient, path.name, str(why), self.unusable)
            self._maildir.set_aside(path)
        except (SQLAlchemyError, OSError):
            raise
        except Exception as error:
            log.unexpected(f"inbound: {path.name}", error)
            self._maildir.set_aside(path)
        else:
            self._maildir.done(mail)

    def _handle(self, mail: Mail) -> None:
        handler = self._handlers.get(mail.domain)
        if handler is None:
            raise Refused(NO_HANDLER)
        handler.take(mail, utcnow())
