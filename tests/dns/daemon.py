"""A server of Debian's, started by a test as an ordinary process with files of its own.

It says by itself when it is ready, as it would to systemd (sd_notify(3)), and is ended by its
process ID.  If it does not come up, what it has logged is in the error.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from stack.ports import free_port

PATIENCE = 30.0  # seconds
SYSTEM = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Daemon:
    """`program`: its name; `directory` is its own, and short enough for the name of a socket."""

    def __init__(self, program: str, *, address: str = "127.0.0.1", port: int = 0) -> None:
        self.address = address
        self.port = port or free_port()
        self.directory = Path(tempfile.mkdtemp(prefix=f"{program}-"))
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def __str__(self) -> str:
        """As in the settings."""
        return f"{self.address}@{self.port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Writes its files."""

    def check(self) -> None:
        """Is it as it should be, now that it runs?"""

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self._start()
            self.check()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def control(self, program: str, *arguments: str) -> None:
        """Raises an error that has what the program said."""
        done = subprocess.run(
            [tool(program), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}\n{self.log}"

    def _start(self) -> None:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
            (self.directory / "log").open("wb") as log,
        ):
            ready.bind(str(self.directory / "ready"))
            ready.settimeout(PATIENCE)
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"NOTIFY_SOCKET": str(self.directory / "ready")},
            )
            try:
                while b"READY=1" not in ready.recv(4096):
                    pass
            except TimeoutError:
                raise AssertionError(f"{self._program} is not ready:\n{self.log}") from None

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.directory)


def tool(program: str) -> str:
    path = shutil.which(program, path=SYSTEM)
    assert path is not None, f"{program} is missing: script/test installs it"
    return path
