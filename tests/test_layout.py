"""The shape of the house: who imports what, and how large a room may grow."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("franking", "policyd", "milter/milterd", "worker", "webpanel", "stack")
LONGEST_FILE = 300

FORBIDDEN = {
    "franking.models": {"flask", "Milter", "policyd", "milterd", "worker", "webpanel"},
    "franking.cli": {"flask", "Milter", "policyd", "milterd", "worker", "webpanel"},
    "policyd.__main__": {"flask", "Milter", "milterd", "worker", "webpanel"},
    "milterd.__main__": {"flask", "policyd", "worker", "webpanel"},
    "worker.__main__": {"flask", "Milter", "policyd", "milterd", "webpanel"},
    "webpanel": {"Milter", "policyd", "milterd", "worker"},
}


@pytest.mark.parametrize("module", FORBIDDEN)
def test_imports(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert FORBIDDEN[module] & set(done.stdout.split()) == set()


@pytest.mark.parametrize("folder", ["milter", "ansible"])
def test_these_are_no_packages(folder: str) -> None:
    """Each would shadow the installed package of its name (milter/README.md)."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_pymilter_is_found_from_the_root() -> None:
    program = "import milter, Milter; print(milter.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith(".so")


def sources() -> list[Path]:
    """Generated migrations aside."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in paths if path.parent.name != "versions")


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE, "ask what second noun moved in"
    assert re.match(r'\s*("""|r""")', text) or not text.strip(), "a module opens with its man page"


def test_asyncio_is_for_policyd() -> None:
    """Sessions are synchronous everywhere; SQLAlchemy itself imports asyncio, so look at ours."""
    wants = re.compile(r"^\s*(import|from) asyncio\b", re.MULTILINE)
    users = {path for path in sources() if wants.search(path.read_text())}
    assert {path.relative_to(ROOT).parts[0] for path in users} <= {"policyd", "stack"}
