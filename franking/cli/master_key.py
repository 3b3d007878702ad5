"""`franking master-key`: what the secrets in the database are sealed with (docs/dkim.md)."""

from __future__ import annotations

from pathlib import Path

import click

from franking import rewrap as rewrapping
from franking.cli.context import Context, emit, json_option
from franking.rewrap import Progress
from franking.sealing import Sealer
from franking.settings import SettingsError, key_bytes


@click.group("master-key")
def master_key() -> None:
    """Replace the master key."""


@master_key.command("rewrap")
@click.option(
    "--old-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The key before, in base64; by default the setting old_master_key.",
)
@json_option
@click.pass_obj
def rewrap(context: Context, old_key_file: Path | None, as_json: bool) -> None:
    """Seal every secret again with the setting master_key.

    May be interrupted and repeated, and mail goes on meanwhile where all processes have both keys.
    """
    sealer = _sealer(context, old_key_file)
    found: dict[str, Progress] = {}
    with context.explained():
        for progress in rewrapping.rewrap(context.database, sealer):
            found[progress.kind] = progress
            if not as_json:
                click.echo(f"{progress.kind}: {progress.rewrapped}", err=True)
    data = {kind: vars(progress) for kind, progress in found.items()}
    emit(data, as_json, lambda: "\n".join(map(_told, found.values())))
    if any(progress.unreadable for progress in found.values()):
        raise click.exceptions.Exit(1)


def _told(progress: Progress) -> str:
    said = f"{progress.kind}: {progress.rewrapped} sealed again, {progress.present} were so"
    if not progress.unreadable:
        return said
    rows = ", ".join(map(str, progress.unreadable[:20]))
    count = len(progress.unreadable)
    return f"{said}; {count} cannot be opened with either key (rows {rows})"


def _sealer(context: Context, old_key_file: Path | None) -> Sealer:
    own = context.settings
    try:
        old = (
            own.old_master_key_bytes()
            if old_key_file is None
            else key_bytes(str(old_key_file), old_key_file.read_text().strip())
        )
        if old is None:
            raise click.UsageError("say the old key: old_master_key in the settings, or a file")
        return Sealer(own.master_key_bytes(), old)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def register(group: click.Group) -> None:
    group.add_command(master_key)
