"""A PostgreSQL cluster of our own in a directory: for tests, never for data that matters.

initdb and the server run as user postgres (PostgreSQL refuses root), listen on a Unix socket only
and are in no list of Debian's postgresql-common, so the machine's own clusters are not touched.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from stack import StackError

OWNER = "postgres"
PROGRAMS = Path("/usr/lib/postgresql")


class Cluster:
    """One cluster; `start` after `crash` recovers from the write-ahead log like a real one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._data = directory / "data"

    @classmethod
    def create(cls, directory: Path) -> Cluster:
        """Make and start a cluster with an empty UTF-8 database `franking`."""
        directory.mkdir(mode=0o755)
        shutil.chown(directory, OWNER, OWNER)
        cluster = cls(directory)
        locale = ("--encoding", "UTF8", "--locale", "C.UTF-8")
        cluster._run("initdb", "--pgdata", str(cluster._data), "--auth", "trust", *locale)
        with (cluster._data / "postgresql.conf").open("a") as file:
            file.write(
                "listen_addresses = ''\n"
                f"unix_socket_directories = '{directory}'\n"
                "max_connections = 200\n"
            )
        cluster.start()
        cluster._run("createdb", "--host", str(directory), "franking")
        return cluster

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{OWNER}@/franking?host={self._directory}"

    def start(self) -> None:
        log = str(self._directory / "log")
        self._run("pg_ctl", "start", "--wait", "--pgdata", str(self._data), "--log", log)

    def stop(self, mode: str = "fast") -> None:
        """`fast` breaks connections off; `immediate` is a crash."""
        self._run("pg_ctl", "stop", "--wait", "--pgdata", str(self._data), "--mode", mode)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(_newest() / program), *arguments],
            user=OWNER,
            group=OWNER,
            extra_groups=[],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # pg_ctl's server keeps it: a pipe would never end
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise StackError(f"{program} failed ({done.returncode}); see {self._directory}/log")


def _newest() -> Path:
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda p: int(p.parent.parent.name))
    if not found:
        raise StackError("PostgreSQL's server programs are not installed")
    return found[-1].parent
