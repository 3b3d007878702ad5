"""`milterd`: settings, the socket, the children."""

from __future__ import annotations

import os
import sys

import Milter

from franking import log, notify, settings, sockets
from franking.db import Database
from franking.settings import Settings
from milterd.callbacks import session_factory
from milterd.office import Office
from milterd.prefork import Prefork


def main() -> int:
    try:
        loaded = settings.load()
        loaded.master_key_bytes()
        listener = sockets.listening(loaded.milterd.socket)
    except (settings.SettingsError, sockets.SocketError) as error:
        sys.stderr.write(f"milterd: {error}\n")
        return 78  # EX_CONFIG
    listener.setblocking(False)  # poll() wakes all children, and only one gets the connection
    log.configure("milterd", loaded.log_level)
    log.started(loaded.describe())
    prefork = Prefork(
        listener,
        lambda: serve(loaded, listener.fileno()),
        workers=loaded.milterd.workers or len(os.sched_getaffinity(0)),
        memory_limit=loaded.milterd.memory_limit,
    )
    prefork.run(ready=lambda: notify.notify("READY=1"))
    log.stopped()
    return 0


def serve(loaded: Settings, listener: int) -> None:
    """One child: libmilter's main loop on the inherited socket, until SIGTERM.

    The database is opened here, because connections do not survive a fork.  `fd:N` is a patch of
    Debian's and Ubuntu's libmilter (socket_activation.patch).
    """
    database = Database(loaded.database_url)
    Milter.factory = session_factory(Office(loaded, database))
    Milter.set_exception_policy(Milter.TEMPFAIL)
    Milter.set_flags(
        Milter.ADDHDRS
        | Milter.CHGHDRS
        | Milter.ADDRCPT
        | Milter.DELRCPT
        | Milter.CHGFROM
        | Milter.QUARANTINE
    )
    Milter.runmilter("franking", f"fd:{listener}", rmsock=False)
    database.close()


if __name__ == "__main__":
    sys.exit(main())
