"""`franking postfix`: what the settings of the listeners mean in Postfix's own files.

For whoever installs the static files of `postfix/`; their README says what goes where.
"""

from __future__ import annotations

from typing import IO

import click

from franking.cli.context import Context, emit, json_option
from franking.listeners import inbound_values, site_values, without_disabled


@click.group("postfix")
def commands() -> None:
    """Print parts of Postfix's configuration."""


@commands.command("site")
@json_option
@click.pass_obj
def print_site(context: Context, as_json: bool) -> None:
    """Print the lines of site.cf that the settings decide: listeners, mail to ourselves."""
    own = context.settings
    values = site_values(own.listeners) | inbound_values(own.bounces, own.dmarc, own.inbound)
    emit(values, as_json, lambda: "\n".join(f"{name} = {value}" for name, value in values.items()))


@commands.command("master")
@click.argument("file", type=click.File())
@click.pass_obj
def print_master(context: Context, file: IO[str]) -> None:
    """Print master.cf without the listeners that are off; FILE is the shipped one, - is stdin."""
    try:
        click.echo(without_disabled(file.read(), context.settings.listeners), nl=False)
    except ValueError as error:
        raise click.ClickException(f"{file.name}: {error}") from error


def register(group: click.Group) -> None:
    group.add_command(commands)
