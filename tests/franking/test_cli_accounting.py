"""`franking accounting`."""

from __future__ import annotations

from pathlib import Path

import pytest

from franking.accounting import sshd
from tests.command_line import Cli

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS laptop"


@pytest.fixture
def logged(ready: Cli, tmp_path: Path) -> Cli:
    """With a directory of files, and an account."""
    text = ready.settings.read_text()
    more = f'\n[accounting]\ndirectory = "{tmp_path}/files"\nsftp_users = "{tmp_path}/users"\n'
    ready.settings.write_text(text + more)
    return ready


def test_files(logged: Cli, tmp_path: Path) -> None:
    assert logged.ok("accounting", "cut") == {"events": 0}
    assert logged.ok("accounting", "list") == []
    logged.ok("accounting", "password")
    logged.ok("accounting", "cut")
    (folder,) = [path for path in (tmp_path / "files").iterdir() if path.name != ".staging"]
    assert logged.text("accounting", "check", str(folder)) == "nothing is missing\n"
    (folder / "manifest.jsonl").unlink()
    assert "cannot be read" in logged.refused("accounting", "check", str(folder))


def test_access(logged: Cli, tmp_path: Path) -> None:
    assert logged.ok("accounting", "access")["username"] is None
    shown = logged.ok("accounting", "add-key", KEY)
    (key,) = shown["keys"]
    assert (key["comment"], shown["password"]) == ("laptop", False)
    assert key["fingerprint"] in logged.text("accounting", "access")
    assert "there already" in logged.refused("accounting", "add-key", KEY)
    made = logged.ok("accounting", "password")
    assert made["username"] == shown["username"]
    assert made["password"] not in logged.text("accounting", "access")
    assert logged.ok("accounting", "sync-users")["users"] == 1
    assert shown["username"] in (tmp_path / "users/passwd").read_text()
    logged.ok("accounting", "remove-key", key["fingerprint"])
    assert "no key" in logged.refused("accounting", "remove-key", key["fingerprint"])
    logged.ok("accounting", "password", "--remove")
    assert "no password" in logged.refused("accounting", "password", "--remove")
    assert logged.ok("accounting", "sync-users")["users"] == 0


def test_what_the_sshd_needs(logged: Cli) -> None:
    text = logged.text("accounting", "sshd-config")
    assert "ForceCommand internal-sftp -R" in text and "ChrootDirectory %h" in text
    unit = logged.text("accounting", "sshd-config", "--unit")
    assert f"{sshd.NSSWITCH_FILE}:/etc/nsswitch.conf" in unit
    assert "passwd: files extrausers" in logged.text("accounting", "sshd-config", "--nsswitch")


def test_a_host_without_files(cli: Cli) -> None:
    assert "accounting.directory" in cli.refused("accounting", "cut")
    assert "accounting.directory" in cli.refused("accounting", "sync-users")
