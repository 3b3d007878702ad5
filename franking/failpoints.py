"""Points at which a process can be made to die, as if by kill -9: for tests and bench/chaos.py.

    FAILPOINTS="milterd.committed=0.01 maillog.committed=0.05"

gives each point a chance of death at every passing.  Without the variable nothing happens, and
`script/up`, Ansible and systemd never set it.

    milterd.uncommitted   everything of a message is written, and not committed
    milterd.committed     it is committed, and Postfix has not been told
    maillog.committed     a batch of log lines is committed, and the worker does not know it yet
    held.granted          held mail is counted and paid, and not released yet
    accounting.staged     files of the accounting log are on the disk, and no row says so
    accounting.committed  their rows are committed, and nobody can see the files yet
    accounting.published  everybody can, and no manifest names them yet
    rewrap.uncommitted    a batch of secrets is sealed again, and not committed
"""

from __future__ import annotations

import functools
import os
import secrets
import signal

from franking import log

VARIABLE = "FAILPOINTS"


@functools.cache
def _chances() -> dict[str, float]:
    pairs = (item.partition("=") for item in os.environ.get(VARIABLE, "").split())
    return {point: float(chance) for point, _, chance in pairs}


def passing(point: str) -> None:
    """Die here, if it has been asked for and chance will have it."""
    chance = _chances().get(point)
    if chance is not None and secrets.SystemRandom().random() < chance:
        log.died_at(point)
        os.kill(os.getpid(), signal.SIGKILL)
