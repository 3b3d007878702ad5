"""The place of a stack's directory: ours alone, and within reach of Postfix's own user."""

from __future__ import annotations

import hashlib
import shutil
import stat
from pathlib import Path

from stack import StackError

DEFAULT = Path(__file__).resolve().parent.parent / "var"
UNTRAVERSABLE_HOME = Path("/var/lib/franking-local")
MARK = "README"
EXPLANATION = """\
script/up keeps a Franking here: database, mail queue, secrets, logs.
Stopped, the directory can be deleted; the next start then begins anew.
"""


def claim(directory: Path) -> Path:
    """The directory, made and marked as a stack's, or the one it points to.

    Raises StackError for a directory that holds something else: `--directory /var` would put a
    mail queue into /var/spool.
    """
    place = traversable(directory)
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    mark = place / MARK
    if not mark.exists():
        if any(place.iterdir()):
            raise StackError(f"{directory} is not empty, and no stack's directory: choose another")
        mark.write_text(EXPLANATION)
    elif mark.read_text() != EXPLANATION:
        raise StackError(f"{directory} belongs to something else: choose another directory")
    return place


def traversable(directory: Path) -> Path:
    """The directory, resolved; or, where user postfix cannot reach it, one that it can.

    Postfix's daemons open their queue and data directories by absolute path after they have
    become user postfix, so no parent may be closed to others.  A checkout below a home such as
    /root (0700) is: then the directory becomes a symbolic link into /var/lib.
    """
    resolved = directory.resolve()
    parents = [p for p in (resolved, *resolved.parents) if p.exists()]
    if all(p.stat().st_mode & stat.S_IXOTH for p in parents):
        return resolved
    digest = hashlib.sha256(str(resolved).encode()).hexdigest()[:12]
    target = UNTRAVERSABLE_HOME / digest
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if directory.is_dir() and not target.exists():
        shutil.move(resolved, target)  # it was reachable before, and holds an instance
    target.mkdir(mode=0o755, exist_ok=True)
    directory.symlink_to(target)
    return target
