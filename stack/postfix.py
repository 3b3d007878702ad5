"""A private Postfix instance from the shipped files in `postfix/`.

`main.cf` is the shipped file with a fragment of `$site_*` values behind it; `master.cf` is the
shipped file without the listeners that are off, and with the names of its inet services replaced
by 127.0.0.1:<port>, because a service name cannot be a parameter (master(5)).  Nothing else is
rewritten: what is tested here is what Ansible copies to a production host.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from franking.listeners import SERVICES, ListenerName, Listeners, without_disabled
from stack import StackError

SHIPPED = Path(__file__).resolve().parent.parent / "postfix"
MAIL_OWNER = "postfix"


def render_main(site: Mapping[str, str], shipped: Path = SHIPPED) -> str:
    fragment = "".join(f"{name} = {value}\n" for name, value in site.items())
    return (shipped / "main.cf").read_text() + "\n\n# site.cf\n" + fragment


def render_master(
    addresses: Mapping[ListenerName, str], listeners: Listeners, shipped: Path = SHIPPED
) -> str:
    """`addresses` has 127.0.0.1:<port> for each listener."""
    try:
        text = without_disabled((shipped / "master.cf").read_text(), listeners)
    except ValueError as error:
        raise StackError(f"{shipped}: {error}") from error
    for name, _ in listeners.enabled():
        service = rf"^{SERVICES[name]}(?=\s+inet\s)"
        text = re.sub(service, addresses[name], text, count=1, flags=re.M)
    return text


def install(
    configuration: Path, queue: Path, data: Path, site: Mapping[str, str], master: str
) -> None:
    """Write the configuration and make the directories; raises StackError when it is wrong."""
    for directory in (configuration, queue, data):
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    shutil.chown(data, MAIL_OWNER)
    own = {"queue_directory": str(queue), "data_directory": str(data)}
    write(configuration / "main.cf", render_main({**own, **site}))
    write(configuration / "master.cf", master)
    check(configuration)


def write(path: Path, text: str) -> None:
    """As if written ten seconds ago: every Postfix program that finds main.cf younger than a
    second waits until it is not (dict_load_file_xt() in util/dict.c)."""
    path.write_text(text)
    past = time.time() - 10
    os.utime(path, (past, past))


def check(configuration: Path) -> None:
    """`postconf` must be silent: it exits 0 on a misspelt parameter.  Then Postfix's own check."""
    for option in ("-n", "-M"):
        done = _run("postconf", "-c", str(configuration), option)
        if done.stderr or done.returncode:
            raise StackError(f"postconf {option}: {done.stderr.strip()}")
    done = _run("postfix", "-c", str(configuration), "check")
    if done.returncode:
        # Without a terminal `postfix check` gives its reasons to the log only.
        raise StackError(f"postfix check failed; see the mail log\n{done.stderr.strip()}")


def master_command(configuration: Path) -> list[str]:
    """What the supervisor runs.

    Not `postfix start-fg`: that is a shell around master, and dies of SIGTERM alone.  master
    itself stays in the foreground, leads the session that circus made for it, and passes SIGTERM
    on to all of its children.
    """
    done = _run("postconf", "-c", str(configuration), "-h", "daemon_directory")
    return [str(Path(done.stdout.strip()) / "master"), "-c", str(configuration)]


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # `su` without `-` has neither
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
