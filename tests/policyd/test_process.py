"""policyd as a process whose sockets belong to somebody else, here to the test."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from franking.settings import Settings
from franking.sockets import listening
from tests.policyd.test_server import ask, connect, login

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def listeners(sockets: Path) -> Iterator[list[socket.socket]]:
    held = [listening(f"unix:{sockets / name}") for name in ("auth", "policy")]
    yield held
    for listener in held:
        listener.close()


@pytest.fixture
def ready(sockets: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(sockets / "notify"))
        receiver.settimeout(20)
        yield receiver


@pytest.fixture
def start(
    settings: Settings, listeners: list[socket.socket], ready: socket.socket, tmp_path: Path
) -> Iterator[Start]:
    """Starts policyd, which inherits the listeners; returns before it is ready."""
    started: list[subprocess.Popen[bytes]] = []
    auth, policy = (listener.fileno() for listener in listeners)
    file = tmp_path / "franking.toml"
    file.write_text(
        f'node = "n1"\ndatabase_url = "{settings.database_url}"\n'
        f'[panel]\nurl = "{settings.panel.url}"\n'
        f'[policyd]\nauth_socket = "fd:{auth}"\npolicy_socket = "fd:{policy}"\n'
    )

    def process() -> subprocess.Popen[bytes]:
        with (tmp_path / "policyd.log").open("ab") as log:
            running = subprocess.Popen(
                [sys.executable, "-m", "policyd"],
                env={
                    **os.environ,
                    "FRANKING_SETTINGS": str(file),
                    "NOTIFY_SOCKET": ready.getsockname(),
                    "WATCHDOG_USEC": "60000000",
                },
                pass_fds=(auth, policy),
                stderr=log,
            )
        started.append(running)
        return running

    yield process
    for running in started:
        running.kill()
        running.wait()


def told(receiver: socket.socket) -> bytes:
    return receiver.recv(100)


async def test_kill_9_is_a_pause(
    start: Start, ready: socket.socket, people: dict[str, str], sockets: Path
) -> None:
    first = start()
    assert await asyncio.to_thread(told, ready) == b"READY=1"
    old = await connect(sockets)
    assert (await login(old, people["user"], people["secret"])).startswith(b"OK")
    first.send_signal(signal.SIGKILL)
    await asyncio.to_thread(first.wait)
    assert await old[0].read() == b""
    old[1].close()
    # Nobody is there.  smtpd connects all the same, and asks.
    policy = await asyncio.open_unix_connection(str(sockets / "policy"))
    question = asyncio.create_task(ask(policy, sasl_username=people["user"]))
    connecting = asyncio.create_task(connect(sockets))
    start()
    assert await question == b"action=DUNNO\n\n"
    auth = await connecting
    assert (await login(auth, people["user"], people["secret"])).startswith(b"OK")
    auth[1].close()
    policy[1].close()


async def test_sigterm_ends_it_with_code_0_and_the_sockets_stay_open(
    start: Start, ready: socket.socket, people: dict[str, str], sockets: Path, tmp_path: Path
) -> None:
    process = start()
    assert await asyncio.to_thread(told, ready) == b"READY=1"
    assert await asyncio.to_thread(told, ready) == b"WATCHDOG=1"
    auth = await connect(sockets)
    process.send_signal(signal.SIGTERM)
    assert await auth[0].read() == b""
    auth[1].close()
    assert await asyncio.to_thread(process.wait) == 0
    log = (tmp_path / "policyd.log").read_text()
    assert '"stopped"' in log and "Traceback" not in log
    assert await asyncio.to_thread(told, ready) == b"STOPPING=1"
    waiting = await asyncio.open_unix_connection(str(sockets / "auth"))
    waiting[1].close()


def test_wrong_settings_are_one_message_and_code_1(tmp_path: Path) -> None:
    file = tmp_path / "franking.toml"
    file.write_text("[policyd]\nthread = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "policyd"],
        env={**os.environ, "FRANKING_SETTINGS": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("policyd: settings") and "policyd.thread" in done.stderr
