"""Every dialog of tests/dialogs, with the real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.server import Server
from tests.policyd import dialog

DIALOGS = sorted((Path(__file__).parent.parent / "dialogs").glob("*.txt"))


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
async def test_dialog(path: Path, server: Server, people: dict[str, str], sockets: Path) -> None:
    socket, _, _ = path.stem.partition("-")
    await dialog.play(path, str(sockets / socket), people)
