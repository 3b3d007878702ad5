"""`python -m stack`: start a stack in the foreground, or stop the one that runs (`--down`).

Each option is also an environment variable: `--port-submission` is FRANKING_UP_PORT_SUBMISSION.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from stack import (
    StackError,
    banner,
    certificates,
    demo,
    lifetime,
    place,
    postfix,
    startup,
    supervisor,
)
from stack.instance import Instance
from stack.ports import HOST, Ports
from stack.settings_file import write_private


def start(instance: Instance) -> int:
    """Prepare the directory and start everything; returns the pid of circusd."""
    instance.ports.check_free()
    instance.demo_file.unlink(missing_ok=True)
    instance.write_files()
    certificates.ensure(instance.tls)
    addresses = {name: f"{HOST}:{port}" for name, port in instance.ports.smtp_ports().items()}
    postfix.install(
        instance.postfix,
        instance.spool,
        instance.root / "data",
        instance.site(),
        postfix.render_master(addresses, instance.listeners),
    )
    demo.ensure(instance)
    supervisor.write_configuration(instance)
    return lifetime.start(supervisor.command(instance), supervisor.environment(instance))


def up(instance: Instance, told: dict[str, str]) -> None:
    """Run until stopped; raises StackError when it cannot start, or stops by itself."""
    lifetime.raise_when_stopped()
    circusd = None
    try:
        circusd = start(instance)
        startup.wait_until_up(instance, circusd)
        facts = demo.description(instance)
        write_private(instance.demo_file, json.dumps(facts, indent=2) + "\n")
        click.echo(banner.text(facts, instance.listeners, **told))
        lifetime.reap(circusd, block=True)
        raise StackError(f"circusd ended; see {instance.log / 'circus.log'}")
    except lifetime.Stopped:
        click.echo("Stopping.")
    finally:
        instance.demo_file.unlink(missing_ok=True)
        if circusd is not None:
            lifetime.end(circusd)


def port_options(command: Any) -> Any:
    for field in reversed(fields(Ports)):
        shown = field.default if isinstance(field.default, int) else "any free one"
        command = click.option(
            f"--port-{field.name}", type=click.IntRange(1, 65535), help=f"Default: {shown}."
        )(command)
    return command


@click.command(context_settings={"auto_envvar_prefix": "FRANKING_UP"})
@click.option("--down", is_flag=True, help="Stop the stack that runs in the directory.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=place.DEFAULT,
    show_default="var/ in the checkout",
    help="Where everything is kept.",
)
@click.option("--database-url", help="Default: SQLite in the directory.")
@port_options
def main(down: bool, directory: Path, database_url: str | None, **ports: int | None) -> None:
    """Run a whole Franking on this machine; Ctrl-C stops it."""
    if os.geteuid() != 0:
        sys.exit("Postfix needs root to start: run this as root (sudo script/up).")
    for name in [name for name in os.environ if name.startswith("FRANKING_")]:
        del os.environ[name]  # meant for us, or for another instance
    chosen = {name.removeprefix("port_"): port for name, port in ports.items() if port}
    try:
        if down and not directory.exists():
            sys.exit(f"script/up: {directory} does not exist, so nothing runs in it.")
        instance = Instance.at(directory, Ports(**chosen), database_url)
        if down:
            stopped = lifetime.stop_running(instance.lock_file)
            click.echo("Stopped." if stopped else "Nothing is running here.")
            return
        with lifetime.lock(instance.lock_file):
            up(instance, {"stop": banner.how_to_stop(directory)})
    except StackError as error:
        sys.exit(f"script/up: {error}")


if __name__ == "__main__":
    main()
