from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.maillog.follow import SETTLE, Follower, Position, files


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Log:
    """A mail log, written and rotated as postlogd and `postfix logrotate` do it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "mail.log"
        self.rotations = 0

    def write(self, text: str, path: Path | None = None) -> None:
        with (path or self.path).open("a") as file:
            file.write(text)

    def rotate(self) -> Path:
        self.rotations += 1
        return self.path.rename(self.path.with_name(f"mail.log.2026-{self.rotations:06}"))


def follower(log: Log, clock: Clock, start: Position | None = None) -> Follower:
    return Follower(log.path, start, clock)


def drain(reader: Follower, clock: Clock, limit: int = 100) -> list[str]:
    """All there is, waiting out rotations."""
    lines = []
    for _ in range(3):
        while batch := reader.read(limit).lines:
            lines += [line.decode() for line in batch]
        clock.now += SETTLE
    return lines


def test_complete_lines_only(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    reader = follower(log, clock)
    assert reader.read(10) == ([], None, False)
    log.write("one\ntw")
    assert reader.read(10).lines == [b"one"]
    assert reader.read(10).lines == []
    log.write("o\nthree\n")
    assert reader.read(1).lines == [b"two"]
    assert reader.read(10).lines == [b"three"]
    reader.close()


def test_goes_on_where_it_was(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    log.write("one\ntwo\nthree\n")
    first = follower(log, clock)
    position = first.read(2).position
    second = follower(log, clock, position)
    assert drain(second, clock) == ["three"]
    assert second.before(1000) == [b"one", b"two", b"three"]
    assert second.before(8) == [b"three"]
    first.close()
    second.close()


def test_late_lines_of_a_rotated_file_are_not_lost(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    log.write("one\n")
    reader = follower(log, clock)
    reader.read(10)
    old = log.rotate()
    log.write("three\n")
    assert reader.read(10).lines == []
    clock.now += SETTLE - 0.1
    log.write("two\n", old)
    assert reader.read(10).lines == [b"two"]
    assert reader.read(10).lines == []
    clock.now += 0.1
    assert reader.read(10) == ([b"three"], reader.position, False)
    reader.close()


def test_rotated_many_times_while_away(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    log.write("1\n2\n")
    reader = follower(log, clock)
    position = reader.read(1).position
    reader.close()
    for number in range(3, 9):
        log.rotate()
        log.write(f"{number}\n")
    reader = follower(log, clock, position)
    assert drain(reader, clock) == list("2345678")
    assert not reader.read(1).gap
    reader.close()


def test_the_file_of_the_position_is_gone(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    log.write("one\ntwo\n")
    reader = follower(log, clock)
    position = reader.read(1).position
    reader.close()
    kept = log.rotate()
    log.write("three\n")
    kept.rename(tmp_path / "elsewhere")
    reader = follower(log, clock, position)
    batch = reader.read(10)
    assert (batch.lines, batch.gap) == ([b"three"], True)
    assert not reader.read(10).gap
    reader.close()


def test_another_file_has_got_the_inode(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    log.write("a different first line\nand more\n")
    position = Position(log.path.stat().st_ino, 4, "0" * 64)
    reader = follower(log, clock, position)
    batch = reader.read(10)
    assert (len(batch.lines), batch.gap) == (2, True)
    reader.close()


def test_deleted_while_open(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    log.write("one\n")
    reader = follower(log, clock)
    reader.read(10)
    log.write("two\n")
    log.path.unlink()
    log.write("three\n")
    assert reader.read(10).lines == [b"two"]
    assert reader.read(10).lines == []
    clock.now += SETTLE
    batch = reader.read(10)
    assert (batch.lines, batch.gap) == ([b"three"], True)
    reader.close()


def test_cut_in_place(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    log.write("one\ntwo\n")
    reader = follower(log, clock)
    reader.read(10)
    os.truncate(log.path, 0)
    assert reader.read(10).gap
    log.write("three\n")
    assert reader.read(10).lines == [b"three"]
    os.truncate(log.path, 0)  # and written again, past the old offset, before the next look
    log.write("a new first line, longer\n")
    batch = reader.read(10)
    assert (batch.lines, batch.gap) == ([b"a new first line, longer"], True)
    reader.close()


def test_a_torn_last_line_is_a_gap(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    log.write("one\nhalf")
    reader = follower(log, clock)
    reader.read(10)
    log.rotate()
    log.write("two\n")
    reader.read(10)
    clock.now += SETTLE
    batch = reader.read(10)
    assert (batch.lines, batch.gap) == ([b"two"], True)
    reader.close()


def test_what_is_no_log_is_passed_over(tmp_path: Path) -> None:
    log, clock = Log(tmp_path), Clock()
    log.write("one\n")
    reader = follower(log, clock)
    reader.read(10)
    log.write("\0" * (3 << 20))
    assert reader.read(10).gap
    log.write("\ntwo\n")
    assert drain(reader, clock)[-1] == "two"
    reader.close()


def test_compressed_logs_are_not_read(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("one\n")
    log.rotate().rename(tmp_path / "mail.log.20260101-000000.gz")
    log.write("two\n")
    assert [file.path.name for file in files(log.path)] == ["mail.log"]


class Postlogd:
    """Writes a known text in pieces of any size; goes on in the renamed file until its HUP."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self.text = "".join(f"line {number} {'x' * (number % 7)}\n" for number in range(2000))
        self.sent = 0
        self._log = log
        self._clock = clock
        self._old: Path | None = None
        self._renamed_at = 0.0

    def write(self, size: int) -> None:
        self._log.write(self.text[self.sent : self.sent + size], self._old)
        self.sent += size

    def rotate(self) -> None:
        if self._old is None and self._log.path.exists():
            self._old, self._renamed_at = self._log.rotate(), self._clock.now

    def hang_up(self, *, now: bool = False) -> None:
        """A second after the rename: it ends its line and opens the new file when it writes."""
        if self._old is not None and (now or self._clock.now >= self._renamed_at + 1):
            self.end_line()
            self._old = None

    def end_line(self) -> None:
        if self.sent and self.text[self.sent - 1] != "\n":
            self.write(self.text.index("\n", self.sent) + 1 - self.sent)


STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 40)),
    st.tuples(st.just("rotate"), st.just(0)),
    st.tuples(st.just("read"), st.integers(1, 5)),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 30)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=60))
def test_every_line_once_however_chopped(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        log, clock = Log(Path(directory)), Clock()
        daemon, reader, got = Postlogd(log, clock), follower(log, clock), list[bytes]()
        for what, amount in steps:
            if what == "write":
                daemon.write(amount)
            elif what == "rotate":
                daemon.rotate()
            elif what == "read":
                batch = reader.read(amount)
                got += batch.lines
                assert not batch.gap
            elif what == "restart":
                position = reader.position
                reader.close()
                reader = follower(log, clock, position)
            elif what == "wait":
                clock.now += amount / 10
                daemon.hang_up()
        daemon.end_line()
        daemon.hang_up(now=True)
        got += [line.encode() for line in drain(reader, clock)]
        reader.close()
        assert got == daemon.text[: daemon.sent].encode().splitlines()
