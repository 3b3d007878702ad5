"""A puller knows that it missed nothing: everything that can be missing is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from franking.accounting import checking
from franking.accounting.checking import check
from franking.money.terms import Retention, Terms
from tests.franking.accounting.conftest import HOUR, NINE, Log
from tests.franking.accounting.test_cutting import set_terms


@pytest.fixture
def pulled(log: Log, tmp_path: Path) -> Path:
    """Three files of each format, as somebody has fetched them."""
    for hour in (1, 2, 3):
        log.message()
        log.round(NINE + hour * HOUR)
    return pull(log, tmp_path / "pulled")


def pull(log: Log, to: Path) -> Path:
    shutil.copytree(log.directory / "acme", to, dirs_exist_ok=True)
    return to


def names(directory: Path, form: str = "jsonl") -> list[Path]:
    return sorted(directory.glob(f"events-*.{form}.gz"))


def test_all_is_there(pulled: Path) -> None:
    assert check(pulled) == []
    assert check(pulled) == []


def test_a_file_is_missing(pulled: Path) -> None:
    path = names(pulled)[1]
    path.unlink()
    assert check(pulled) == [f"{path.name} is missing"]
    assert check(pulled, "csv") == []


def test_a_file_is_cut_off(pulled: Path) -> None:
    path = names(pulled)[1]
    path.write_bytes(path.read_bytes()[:-1])
    (sentence,) = check(pulled)
    assert sentence.startswith(f"{path.name} is not as it was written")


def test_a_line_of_the_manifest_is_missing(pulled: Path) -> None:
    manifest = pulled / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if "0000002.jsonl" not in line))
    first, _, third = (path.name for path in names(pulled))
    assert check(pulled) == [f"1 missing between {first} and {third}"]


def test_another_file_in_the_chain(pulled: Path) -> None:
    manifest = pulled / "manifest.jsonl"
    second = checking._manifest(manifest)[3]
    manifest.write_text(
        manifest.read_text().replace(
            f'"previous_sha256":"{second["sha256"]}"', f'"previous_sha256":"{"0" * 64}"'
        )
    )
    assert check(pulled) == [f"{names(pulled)[2].name} does not follow {second['name']}"]


def test_what_was_right_may_be_moved_away(pulled: Path) -> None:
    assert check(pulled) == []
    for path in names(pulled):
        path.unlink()
    assert check(pulled) == []


def test_who_was_away_for_too_long(log: Log, pulled: Path) -> None:
    """Retention has removed files that were never fetched."""
    assert check(pulled) == []
    set_terms(log.database, "acme", Terms(retention=Retention(accounting=1)))
    log.message()
    log.round(NINE + 4 * HOUR)
    log.message()
    log.round(NINE + 100 * HOUR)
    pull(log, pulled)
    wrong = check(pulled, "jsonl")
    assert len(wrong) == 1
    assert wrong[0].startswith("1 missing between ")


def test_who_was_away_for_not_too_long(log: Log, pulled: Path) -> None:
    assert check(pulled) == []
    set_terms(log.database, "acme", Terms(retention=Retention(accounting=1)))
    log.message()
    log.round(NINE + 100 * HOUR)
    pull(log, pulled)
    assert check(pulled) == []


def test_an_older_manifest(log: Log, pulled: Path) -> None:
    older = (pulled / "manifest.jsonl").read_text()
    log.message()
    log.round(NINE + 4 * HOUR)
    pull(log, pulled)
    assert check(pulled) == []
    (pulled / "manifest.jsonl").write_text(older)
    assert {sentence.split("before")[0] for sentence in check(pulled)} == {"the manifest ends "}


def test_a_file_was_written_anew(pulled: Path) -> None:
    assert check(pulled) == []
    manifest = pulled / "manifest.jsonl"
    last = checking._manifest(manifest)[-1]
    manifest.write_text(manifest.read_text().replace(last["sha256"], "0" * 64))
    assert check(pulled) == [f"{last['name']} was another file before"]


@pytest.mark.parametrize("content", [None, "", "{}", "[1]\n", '{"manifest":2}\n', "\x00"])
def test_no_manifest(pulled: Path, content: str | None) -> None:
    (pulled / "manifest.jsonl").unlink()
    if content is not None:
        (pulled / "manifest.jsonl").write_text(content)
    (sentence,) = check(pulled)
    assert sentence.startswith("cannot be read")


def test_names_lead_nowhere_else(pulled: Path) -> None:
    manifest = pulled / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace(names(pulled)[0].name, "../../etc/passwd"))
    assert check(pulled) == ["'../../etc/passwd' is no name of a file of the log"]


def test_it_runs_alone(pulled: Path, tmp_path: Path) -> None:
    """Copied to another machine, with nothing of ours beside it."""
    program = shutil.copy(checking.__file__, tmp_path / "checking.py")
    command = [sys.executable, "-I", "-S", str(program), str(pulled)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "nothing is missing\n"
    names(pulled)[0].write_bytes(b"")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "is not as it was written" in done.stdout
