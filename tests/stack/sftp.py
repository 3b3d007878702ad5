"""The accounting log's sshd and the real sftp client.

The sshd runs in a mount namespace of its own, as its systemd unit has it: there nsswitch.conf names
extrausers, and the names that it knows are the test's.  sshd chroots only below folders that nobody
else may write, which /tmp is not: in the namespace another one is mounted in its place.
"""

from __future__ import annotations

import os
import shlex
import socket
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from franking.accounting import sshd
from franking.accounting.config import Accounting

HOST = "127.0.0.1"
ENTER = """\
set -eu
mount -t tmpfs -o mode=755 none /run
mkdir /run/sshd /run/test
mount --bind {directory} /run/test
mount -t tmpfs -o mode=755 none {shared}
mkdir -p {directory}
mount --bind /run/test {directory}
mount --bind {directory}/nsswitch.conf /etc/nsswitch.conf
mount --bind {users} {extrausers}
exec /usr/sbin/sshd -D -e -f {directory}/sshd_config
"""


@dataclass(frozen=True)
class Server:
    """`directory` holds everything of it, `log` what it says."""

    directory: Path
    port: int

    @property
    def log(self) -> str:
        return (self.directory / "sshd.log").read_text()

    def options(self, key: Path | None = None) -> list[str]:
        """Of ssh and sftp; with a key there is no other way in, without one a password."""
        known = {
            "UserKnownHostsFile": str(self.directory / "known_hosts"),
            "StrictHostKeyChecking": "yes",
            "GlobalKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "PreferredAuthentications": "publickey" if key else "password",
            "NumberOfPasswordPrompts": "1",
        }
        pairs = [f"-o{name}={value}" for name, value in known.items()]
        return ["-F", "/dev/null", *pairs, *(["-i", str(key)] if key else [])]

    def sftp(
        self, user: str, *commands: str, key: Path | None = None, password: str = "", cwd: Path
    ) -> subprocess.CompletedProcess[str]:
        """Runs the commands until one fails."""
        return _run(
            ["sftp", *self.options(key), "-oBatchMode=no", "-P", str(self.port), "-b", "-",
             f"{user}@{HOST}"],
            password, cwd, "\n".join(commands),
        )  # fmt: skip

    def ssh(
        self, user: str, *arguments: str, key: Path, cwd: Path
    ) -> subprocess.CompletedProcess[str]:
        target = ["-p", str(self.port), f"{user}@{HOST}"]
        return _run(["ssh", *self.options(key), *target, *arguments], "", cwd, "")


def _run(
    command: Sequence[str], password: str, cwd: Path, given: str
) -> subprocess.CompletedProcess[str]:
    """OpenSSH asks a program for the password when it is told to."""
    ask = cwd / "askpass"
    ask.write_text(f"#!/bin/sh\necho {shlex.quote(password)}\n")
    ask.chmod(0o700)
    environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
    environment.pop("SSH_AUTH_SOCK", None)
    return subprocess.run(
        command, input=given, env=environment, cwd=cwd, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def new_key(path: Path) -> str:
    """The public half's line."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "puller", "-f", str(path)]
    subprocess.run(command, check=True)
    return path.with_name(path.name + ".pub").read_text()


@contextmanager
def serving(rules: Accounting, directory: Path) -> Iterator[Server]:
    """Until the end of the block; `rules` and the users are below `directory`."""
    host_key = directory / "host_key"
    public = new_key(host_key)
    (directory / "nsswitch.conf").write_text(sshd.NSSWITCH)
    text = sshd.configuration(rules, host_key=str(host_key), listen=HOST)
    (directory / "sshd_config").write_text(text)
    (directory / "known_hosts").write_text(f"[{HOST}]:{rules.sftp_port} {public}")
    script = ENTER.format(
        directory=directory, shared=_writable_by_all(directory), users=rules.sftp_users,
        extrausers=sshd.EXTRAUSERS,
    )  # fmt: skip
    with (directory / "sshd.log").open("w") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stderr=log
        )
        try:
            server = Server(directory, rules.sftp_port)
            _wait(process, server)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], server: Server) -> None:
    while "Server listening on" not in server.log:
        try:
            raise RuntimeError(f"sshd ended with {process.wait(0.05)}: {server.log}")
        except subprocess.TimeoutExpired:
            continue


def _writable_by_all(directory: Path) -> Path:
    parents = [path for path in directory.parents if path.stat().st_mode & stat.S_IWOTH]
    return parents[-1]


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])
