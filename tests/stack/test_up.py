"""`script/up` as a person uses it: start, read demo.json, send, stop, start again."""

from __future__ import annotations

import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from stack import StackError, banner
from stack.instance import Instance
from stack.place import traversable
from stack.ports import Ports
from stack.running import RunningStack

pytestmark = pytest.mark.one_engine


def family(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


def replaced(stack: RunningStack, name: str, before: set[int]) -> bool:
    return bool(set(stack.pids(name)) - before)


def send(stack: RunningStack, to: str) -> str:
    """One message as demo.json describes it; returns the queue ID."""
    smtp = stack.facts["smtp"]
    context = ssl.create_default_context(cafile=stack.facts["ca_file"])
    with smtplib.SMTP(smtp["host"], smtp["ports"]["submission"], timeout=30) as client:
        client.starttls(context=context)
        client.login(smtp["username"], smtp["password"])
        client.mail(stack.facts["from_address"])
        client.rcpt(to)
        code, text = client.data(
            f"From: {stack.facts['from_address']}\r\nTo: {to}\r\nSubject: hello\r\n\r\nHello\r\n"
        )
    assert code == 250, text
    return text.decode().rpartition(" ")[2]


def test_a_message_goes_through(stack: RunningStack) -> None:
    queue_id = send(stack, "test-up@elsewhere.test")
    content = stack.delivered("test-up@elsewhere.test").content
    assert b"DKIM-Signature: " in content
    assert content.endswith(b"\r\nHello\r\n")
    assert f" id {queue_id}".encode() in content


def test_the_printed_swaks_line_works(stack: RunningStack) -> None:
    done = subprocess.run(
        banner.swaks(stack.facts), shell=True, capture_output=True, text=True, check=False
    )
    assert "Ok: queued as " in done.stdout, done.stdout + done.stderr
    assert stack.delivered(banner.RECIPIENT)


def test_demo_file_is_private(stack: RunningStack) -> None:
    assert stat.S_IMODE(stack.instance.demo_file.stat().st_mode) == 0o600


def test_the_command_line_knows_this_instance(stack: RunningStack) -> None:
    done = subprocess.run(
        [stack.facts["cli"], "account", "list", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"demo"' in done.stdout


@pytest.mark.parametrize(
    ("port", "code", "text"),
    [
        ("smtp", 554, "Relay access denied"),
        ("submission", 530, "Authentication required"),
        ("alternate", 530, "Authentication required"),
    ],
)
def test_strangers_are_refused(stack: RunningStack, port: str, code: int, text: str) -> None:
    context = ssl.create_default_context(cafile=stack.facts["ca_file"])
    with smtplib.SMTP("127.0.0.1", stack.facts["smtp"]["ports"][port], timeout=30) as client:
        client.starttls(context=context)
        client.ehlo()
        assert not client.has_extn("chunking")
        client.mail("a@elsewhere.test")
        answer = client.rcpt("b@elsewhere.test")
    assert answer[0] == code
    assert text in answer[1].decode()


def test_every_process_comes_back(stack: RunningStack) -> None:
    for name in ("policyd", "milterd", "worker", "webpanel", "sink"):
        before = stack.pids(name)
        assert stack.kill(*before), name
        stack.until(partial(replaced, stack, name, set(before)))
    send(stack, "after-the-kills@elsewhere.test")
    assert stack.delivered("after-the-kills@elsewhere.test")


def test_a_second_start_says_that_it_runs_already(stack: RunningStack) -> None:
    done = subprocess.run(stack.command(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "running already" in done.stderr


def test_ctrl_c_leaves_nothing_and_a_second_start_keeps_everything(short_directory: Path) -> None:
    with RunningStack.started(short_directory / "again") as stack:
        facts = stack.facts
        bystander = subprocess.Popen(["sleep", "60"])
        started = family(stack.pid)
        assert len(started) > 6
        stack.stop(signal.SIGINT)
        assert not {pid for pid in started if psutil.pid_exists(pid)}
        assert bystander.poll() is None
        bystander.kill()
        bystander.wait()
        assert not stack.instance.demo_file.exists()

        stack.start()
        assert stack.facts == facts
        send(stack, "second-start@elsewhere.test")
        assert stack.delivered("second-start@elsewhere.test")

        # --down from elsewhere
        command = [sys.executable, "-P", "-m", "stack", "--down"]
        place = ["--directory", str(stack.instance.root)]
        done = subprocess.run([*command, *place], capture_output=True, text=True, check=True)
        assert done.stdout == "Stopped.\n"


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports(**{**vars(Ports.free()), "submission": port})
        with pytest.raises(
            StackError, match=rf"port {port} \(submission\).*(?s:.*)--port-submission"
        ):
            ports.check_free()


def test_a_long_path_is_refused_with_a_reason(short_directory: Path) -> None:
    with pytest.raises(StackError, match="too long a path"):
        Instance.at(short_directory / ("x" * 90), Ports.free())


def test_a_directory_with_something_else_in_it_is_refused(short_directory: Path) -> None:
    other = short_directory / "other"
    other.mkdir()
    (other / "spool").mkdir()
    with pytest.raises(StackError, match="choose another"):
        Instance.at(other, Ports.free())


def test_a_closed_parent_moves_the_directory(
    tmp_path: Path, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.place.UNTRAVERSABLE_HOME", short_directory / "home")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    place = traversable(tmp_path / "var")
    assert place.parent == short_directory / "home"
    assert (tmp_path / "var").resolve() == place
    assert traversable(tmp_path / "var") == place  # and again at the next start
