"""The Maildir: whom a message is for, what is set aside, and that this stays bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.inbound import maildir
from worker.inbound.maildir import Maildir


def deliver(place: Path, name: str, data: bytes) -> Path:
    """As virtual(8) does at last."""
    (place / "new").mkdir(exist_ok=True)
    (place / "new" / name).write_bytes(data)
    return place / "new" / name


@pytest.mark.parametrize(
    ("header", "recipient"),
    [
        (b"Return-Path: <a@b>\nDelivered-To: F00@Reports.Example\nX: y\n", "f00@reports.example"),
        (b"Delivered-To: f00@r.example\nDelivered-To: other@r.example\n", "f00@r.example"),
        (b"X: Delivered-To: f00@r.example\n", ""),
        (b"X: " + b"y" * 5000 + b"\nDelivered-To: f00@r.example\n", ""),
        (b"", ""),
        (b"Delivered-To: \xff\xfe@r.example\n", "\ufffd\ufffd@r.example"),
    ],
)
def test_whom_it_is_for(tmp_path: Path, header: bytes, recipient: str) -> None:
    path = deliver(tmp_path, "1", header + b"\nbody\n")
    mail = Maildir(tmp_path).read(path, 100_000)
    assert mail.recipient == recipient
    assert f"{mail.local_part}@{mail.domain}" == (recipient or "@")


def test_the_oldest_come_first_and_never_too_many(tmp_path: Path) -> None:
    own = Maildir(tmp_path)
    assert own.waiting(10) == []
    for name in ("1002.V1", "1001.V9", "1003.V2"):
        deliver(tmp_path, name, b"x")
    (tmp_path / "new" / "directory").mkdir()
    (tmp_path / "new" / "1000.link").symlink_to("/etc/passwd")
    assert [path.name for path in own.waiting(2)] == ["1001.V9", "1002.V1"]


def test_what_has_failed_waits_for_a_while_and_comes_last(tmp_path: Path) -> None:
    now = 0.0
    own = Maildir(tmp_path, lambda: now)
    for name in ("1001", "1002", "1003", "1004"):
        deliver(tmp_path, name, b"x")
    for path in own.waiting(2):
        own.failed(path)
    assert [path.name for path in own.waiting(2)] == ["1003", "1004"]
    now = maildir.RETRY_AFTER
    assert [path.name for path in own.waiting(10)] == ["1003", "1004", "1001", "1002"]
    (tmp_path / "new" / "1001").unlink()
    own.waiting(10)
    deliver(tmp_path, "1001", b"another of that name")
    assert own.waiting(1)[0].name == "1001"


def test_of_a_large_one_no_more_is_read_than_wanted(tmp_path: Path) -> None:
    path = deliver(tmp_path, "1", b"x" * 1000)
    assert len(Maildir(tmp_path).read(path, 99).data) == 100


def test_what_is_set_aside_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maildir, "KEPT_FILES", 3)
    monkeypatch.setattr(maildir, "KEPT_BYTES", 250)
    own = Maildir(tmp_path)
    for number in range(6):
        own.set_aside(deliver(tmp_path, f"100{number}", b"x" * 100))
    assert sorted(p.name for p in (tmp_path / "unreadable").iterdir()) == ["1004", "1005"]
    assert own.waiting(10) == []
