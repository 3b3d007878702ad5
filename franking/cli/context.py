"""What every command needs: settings, a database, one way to fail and one way to print."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

import click
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Database
from franking.reasons import Refused
from franking.settings import Settings

LONGEST_NOTE = 180  # characters; the books have 200

_F = TypeVar("_F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
account_option = click.option(
    "--account", "-a", "account_name", help="Account; may be left out while there is only one."
)


def _no_longer(_ctx: click.Context, _param: click.Parameter, note: str) -> str:
    if len(note) > LONGEST_NOTE:
        raise click.BadParameter(f"more than {LONGEST_NOTE} characters")
    return note


def note_option(about: str) -> Callable[[_F], _F]:
    """A reason that must be given, and is kept."""
    return click.option("--note", required=True, callback=_no_longer, help=about)


class Context:
    """Made once per call from the settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.actor = f"cli:{getpass.getuser()}"

    @cached_property
    def database(self) -> Database:
        """For what opens its own transactions; inside `explained()`."""
        return Database(self.settings.database_url)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A writing session, `explained`."""
        with self.explained(), self.database.transaction() as session:
            yield session

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A reading session, `explained`."""
        with self.explained(), self.database.session() as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A reading session that sees one moment."""
        with self.explained(), self.database.snapshot() as session:
            yield session

    @contextmanager
    def explained(self) -> Iterator[None]:
        """A refusal, or trouble with the database, ends the command with a sentence."""
        try:
            yield
        except Refused as reason:
            raise click.ClickException(str(reason)) from reason
        except (OperationalError, ProgrammingError) as error:
            first_line = str(error.orig).partition("\n")[0]
            hint = "" if "locked" in first_line else " (was `franking init` run?)"
            raise click.ClickException(f"database: {first_line}{hint}") from error


def the_account(session: Session, name: str | None) -> Account:
    """The named account, or the only one there is."""
    if name is not None:
        return accounts.get(session, name)
    known = accounts.all_of(session)
    if len(known) == 1:
        return known[0]
    if not known:
        raise click.ClickException("there is no account yet: franking account create NAME")
    names = ", ".join(account.name for account in known[:10])
    raise click.UsageError(f"say which account with --account: {names}")


def emit(data: Any, as_json: bool, human: Callable[[], str]) -> None:
    """Print `data` as JSON, or what `human` makes of it."""
    if as_json:
        click.echo(json.dumps(data, indent=2, default=_plain, ensure_ascii=False))
    else:
        click.echo(human())


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns padded to their widest cell; control characters of remote text made visible."""
    cells = [list(header)] + [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines) if rows else "(none)"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    return "".join(c if c.isprintable() else "?" for c in str(value))
