from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from worker.maillog.rotate import DAY, Rotation, start_quietly

NOW = 1_800_000_000.0


class Shop:
    """Runs gzip really, and only notes `postfix logrotate`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commands: list[list[str]] = []
        self.rotation = Rotation(
            path, Path("/conf"), rotate_bytes=100, keep_days=14,
            start=self.start, time_of_day=lambda: NOW,
        )  # fmt: skip

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        self.commands.append(command)
        return start_quietly(command if "gzip" in command else ["true"])

    def look(self) -> None:
        self.rotation.look(self.path.stat().st_ino)
        self.rotation.wait()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "mail.log")


def test_rotates_above_the_size(shop: Shop) -> None:
    shop.path.write_text("x" * 100)
    shop.look()
    assert shop.commands == []
    shop.path.write_text("x" * 101)
    shop.look()
    assert shop.commands == [["postfix", "-c", "/conf", "logrotate"]]


def test_not_while_the_last_rotation_is_still_being_read(shop: Shop) -> None:
    shop.path.write_text("x" * 101)
    old = shop.path.rename(shop.path.with_name("mail.log.1"))
    shop.path.write_text("x" * 101)
    shop.rotation.look(old.stat().st_ino)
    assert shop.commands == []


def test_compresses_only_what_is_before_the_position(shop: Shop) -> None:
    names = ["mail.log.1", "mail.log.2", "mail.log.3", "mail.log"]
    for number, name in enumerate(names):
        path = shop.path.with_name(name)
        path.write_text(name)
        os.utime(path, (NOW - 100 + number, NOW - 100 + number))
    position = shop.path.with_name("mail.log.2").stat().st_ino
    for _ in range(3):
        shop.rotation.look(position)
        shop.rotation.wait()
    assert sorted(path.name for path in shop.path.parent.iterdir()) == [
        "mail.log", "mail.log.1.gz", "mail.log.2", "mail.log.3",
    ]  # fmt: skip
    packed = shop.path.with_name("mail.log.1.gz")
    assert gzip.decompress(packed.read_bytes()) == b"mail.log.1"
    assert packed.stat().st_mtime == NOW - 100


def test_deletes_after_keep_days(shop: Shop) -> None:
    shop.path.write_text("x")
    for days in (13, 15):
        path = shop.path.with_name(f"mail.log.{days}.gz")
        path.touch()
        os.utime(path, (NOW - days * DAY, NOW - days * DAY))
    shop.look()
    assert sorted(path.name for path in shop.path.parent.iterdir()) == [
        "mail.log",
        "mail.log.13.gz",
    ]


def test_a_failing_command_is_logged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.path.write_text("x" * 101)
    monkeypatch.setattr(shop.rotation, "_start", lambda _: start_quietly(["ls", "/no/such"]))
    shop.rotation.look(shop.path.stat().st_ino)
    shop.rotation.wait()
    assert "command_failed" in "".join(capsys.readouterr())
