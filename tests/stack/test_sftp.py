"""An account fetches its files by SFTP, and can do nothing else: the real sshd, the real sftp."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sftp
from sftp import Server

from franking.accounting import access, extrausers
from franking.accounting.checking import check
from franking.accounting.config import Accounting
from franking.accounting.cutting import Cutter
from franking.db import Database, utcnow
from tests import factories

pytestmark = [pytest.mark.one_engine, pytest.mark.rest]


@dataclass
class Served:
    """Two accounts, one with a key and one with a password, each with a file of each format."""

    server: Server
    key: Path
    puller: str
    other: str
    password: str
    home: Path
    mine: Path  # where the puller works


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("sftp")
    mine = tmp_path_factory.mktemp("puller")
    rules = Accounting(
        directory=directory / "files", sftp_users=directory / "users",
        sftp_host=sftp.HOST, sftp_port=sftp.free_port(),
    )  # fmt: skip
    line = sftp.new_key(mine / "key")
    with _filled(directory, empty_database) as database:
        with database.transaction() as session:
            acme, other = (factories.funded(session, name) for name in ("acme", "other"))
            access.add_key(session, acme, line, prefix="frank", now=utcnow())
            made = access.new_password(session, other, prefix="frank", now=utcnow())
            for number, account in enumerate((acme, other)):
                username = factories.credential(session, account).credential.username
                domain = factories.verified_domain(session, account, f"{account.name}.example")
                factories.message(session, username, domain.id, f"4bCdEf{number:04d}zXyW", utcnow())
            row = access.of(session, acme)
            assert row is not None
        with database.session() as session:
            extrausers.sync(session, rules)
        assert rules.directory is not None
        Cutter(database, rules, rules.directory).round(utcnow(), utcnow())
        with sftp.serving(rules, directory) as server:
            home = rules.directory / "acme"
            yield Served(
                server, mine / "key", row.username, made.access.username, made.password, home, mine
            )


@contextmanager
def _filled(directory: Path, empty_database: Path) -> Iterator[Database]:
    path = directory / "franking.db"
    path.write_bytes(empty_database.read_bytes())
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_s2_10_an_account_fetches_its_files(served: Served, tmp_path: Path) -> None:
    done = served.server.sftp(
        served.puller, "get manifest.jsonl", "get -a events-*", key=served.key, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr + served.server.log
    (tmp_path / "askpass").unlink()
    assert names(tmp_path) == names(served.home)
    assert check(tmp_path) == []


def test_a_password_does_too(served: Served, tmp_path: Path) -> None:
    done = served.server.sftp(served.other, "ls -1", password=served.password, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + served.server.log
    assert "manifest.jsonl" in done.stdout.split()


def test_nothing_can_be_written(served: Served, tmp_path: Path) -> None:
    before = {path: path.stat() for path in served.home.iterdir()}
    commands = (
        "put askpass stolen", "put askpass manifest.jsonl", "rm manifest.jsonl", "mkdir folder",
        "rename manifest.jsonl other", "ln -s /etc/passwd link", "chmod 777 manifest.jsonl",
        "chown 0 manifest.jsonl",
    )  # fmt: skip
    going_on = [f"-{command}" for command in commands]
    done = served.server.sftp(served.puller, *going_on, key=served.key, cwd=tmp_path)
    assert done.stderr.count("Permission denied") == len(commands), done.stderr
    assert {path: path.stat() for path in served.home.iterdir()} == before


def test_nothing_else_can_be_seen(served: Served, tmp_path: Path) -> None:
    paths = ("../other", "/../other", "/other", "../../etc/passwd", "/etc/passwd", "/.staging")
    looks = [f"-ls {path}" for path in paths]
    done = served.server.sftp(served.puller, *looks, "ls -1a /", key=served.key, cwd=tmp_path)
    assert done.stderr.count("not found") == len(paths), done.stderr
    listed = {line.strip("/") for line in done.stdout.splitlines() if not line.startswith("sftp>")}
    assert listed - {".", ".."} == names(served.home)


def test_there_is_no_shell(served: Served, tmp_path: Path) -> None:
    for arguments in (["id"], ["-t", "id"], ["-s", "netconf"]):
        done = served.server.ssh(served.puller, *arguments, key=served.key, cwd=tmp_path)
        assert done.returncode != 0, arguments
        assert "uid=" not in done.stdout


def test_nothing_is_forwarded(served: Served, tmp_path: Path) -> None:
    """-W asks the server for a connection to a port; the sshd's own would greet."""
    target = f"127.0.0.1:{served.server.port}"
    done = served.server.ssh(served.puller, "-W", target, key=served.key, cwd=tmp_path)
    assert done.returncode == 255
    assert "administratively prohibited" in done.stderr
    assert "SSH-2.0" not in done.stdout
    remote = ["-o", "ExitOnForwardFailure=yes", "-N", "-R", f"0:{target}"]
    done = served.server.ssh(served.puller, *remote, key=served.key, cwd=tmp_path)
    assert done.returncode == 255
    assert "remote port forwarding failed" in done.stderr


def test_other_programs_do_not_know_these_users(served: Served) -> None:
    done = subprocess.run(["getent", "passwd", served.puller], capture_output=True, check=False)
    assert done.returncode == 2


def test_nobody_else_gets_in(served: Served, tmp_path: Path) -> None:
    """Who has a key has no password; the host's own users are not users of this sshd."""
    for user, key, password in (
        (served.other, None, "wrong"),
        (served.other, served.key, ""),
        (served.puller, None, ""),
        ("root", served.key, ""),
        ("nobody", None, ""),
    ):
        done = served.server.sftp(user, "ls", key=key, password=password, cwd=tmp_path)
        assert done.returncode == 255, user
        assert "Permission denied" in done.stderr
