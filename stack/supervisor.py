"""Which processes a stack has, as circus is told about them.

circusd owns the listening sockets of policyd, milterd, the panel and the sink, and hands them to
each new process as inherited descriptors: a killed daemon is a pause, not a refusal
(docs/decisions/0002).  It starts every child in a session of its own and starts it again when it
ends, whatever the reason.  In production systemd does both.
"""

from __future__ import annotations

import configparser
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from circus.client import CallError, CircusClient

from stack import postfix
from stack.instance import Instance
from stack.ports import HOST

CHECK_DELAY = 0.2  # seconds between a death and the new process
GRACE = 10  # seconds a process may take to end before it is killed
BACKLOG = 4096
PANEL_CONFIGURATION = Path(__file__).resolve().parent.parent / "webpanel/gunicorn.conf.py"


@dataclass(frozen=True)
class Watched:
    """One process; `FD(name)` in its command becomes the number of that socket's descriptor."""

    name: str
    command: list[str]


def FD(name: str) -> str:
    return f"$(circus.sockets.{name})"


def processes(instance: Instance) -> list[Watched]:
    binaries = os.path.dirname(sys.executable)  # noqa: PTH120 - resolving leaves the venv
    policyd = [
        f"FRANKING_POLICYD__AUTH_SOCKET=fd:{FD('auth')}",
        f"FRANKING_POLICYD__POLICY_SOCKET=fd:{FD('policy')}",
        f"{binaries}/policyd",
    ]
    milterd = [f"FRANKING_MILTERD__SOCKET=fd:{FD('milter')}", f"{binaries}/milterd"]
    sink = [
        *(sys.executable, "-m", "stack.sink", "--fd", FD("sink")),
        *("--directory", str(instance.sink), "--journal", str(instance.sink_journal)),
    ]
    webpanel = [
        *(f"{binaries}/gunicorn", "--config", str(PANEL_CONFIGURATION)),
        *("--bind", f"fd://{FD('panel')}", "--graceful-timeout", "3", "webpanel.wsgi:app"),
    ]
    return [
        Watched("sink", sink),
        Watched("policyd", ["env", *policyd]),
        Watched("milterd", ["env", *milterd]),
        Watched("worker", [f"{binaries}/franking-worker", "maillog"]),
        Watched("housekeeping", [f"{binaries}/franking-worker", "housekeeping"]),
        Watched("webhooks", [f"{binaries}/franking-worker", "webhooks"]),
        Watched("accounting", [f"{binaries}/franking-worker", "accounting"]),
        Watched("dns", [f"{binaries}/franking-worker", "dns"]),
        Watched("inbound", [f"{binaries}/franking-worker", "inbound"]),
        Watched("webpanel", webpanel),
        Watched("postfix", postfix.master_command(instance.postfix)),
    ]


def write_configuration(instance: Instance) -> None:
    """circus.ini (https://circus.readthedocs.io/en/latest/for-ops/configuration/)."""
    ini = configparser.RawConfigParser()
    ini.optionxform = str  # type: ignore[assignment,method-assign]
    ini["circus"] = {
        "check_delay": str(CHECK_DELAY),
        "endpoint": f"ipc://{instance.run}/circus",
        "pubsub_endpoint": f"ipc://{instance.run}/circus-pubsub",
        "multicast_endpoint": "",  # else it joins a multicast group to be found by others
        "logoutput": str(instance.log / "circus.log"),
    }
    for name in ("auth", "policy", "milter"):
        # umask 0: smtpd connects as user postfix.  circus reads it as a decimal number.
        own = {"path": str(instance.socket(name)), "umask": "0", "replace": "True"}
        ini[f"socket:{name}"] = {**own, "backlog": str(BACKLOG)}
    for name, port in (("panel", instance.ports.panel), ("sink", instance.ports.sink)):
        ini[f"socket:{name}"] = {"host": HOST, "port": str(port)}
    for watched in processes(instance):
        ini[f"watcher:{watched.name}"] = {
            "cmd": _logging_to(instance.log / f"{watched.name}.log", watched.command),
            "working_dir": str(instance.root),
            "use_sockets": "True",
            "copy_env": "True",
            "graceful_timeout": str(GRACE),
        }
    with (instance.run / "circus.ini").open("w") as file:
        ini.write(file)


def _logging_to(path: Path, command: list[str]) -> str:
    """circus's own redirection loses track of its pipes when a process is killed (0.19: "fd added
    twice"), and then starts nothing any more."""
    return shlex.join(["sh", "-c", f"exec {shlex.join(command)} >>{shlex.quote(str(path))} 2>&1"])


def command(instance: Instance) -> list[str]:
    return [sys.executable, "-m", "circus.circusd", str(instance.run / "circus.ini")]


def environment(instance: Instance) -> dict[str, str]:
    return {**os.environ, "FRANKING_SETTINGS": str(instance.settings_file)}


def pids(instance: Instance) -> dict[str, list[int]]:
    """The processes that run at this moment; empty while circusd does not answer."""
    client = CircusClient(endpoint=f"ipc://{instance.run}/circus", timeout=2.0)
    try:
        return {
            watched.name: client.send_message("list", name=watched.name).get("pids", [])
            for watched in processes(instance)
        }
    except CallError:
        return {}
    finally:
        client.stop()
