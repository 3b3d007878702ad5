"""`franking accounting`: the files of the accounting log, and who may fetch them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from franking.accounting import access, checking, extrausers, files, sshd
from franking.accounting.config import Accounting
from franking.accounting.cutting import Cutter
from franking.accounting.models import AccountingFile, SftpAccess
from franking.accounts import audit
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.db import utcnow


@click.group()
def accounting() -> None:
    """Files of everything that happens, for customers to fetch (docs/accounting-log.md)."""


@accounting.command("list")
@click.option("--limit", default=20, show_default=True, help="Of each format.")
@account_option
@json_option
@click.pass_obj
def list_(context: Context, limit: int, account_name: str | None, as_json: bool) -> None:
    """List an account's files, newest first."""
    with context.session() as session:
        found = files.listed(session, the_account(session, account_name), limit=limit)
        rows = [_described(row) for pair in found for row in (pair.jsonl, pair.csv) if row]
    keys = ("name", "events", "size", "created_at", "sha256")
    header = ("name", "events", "bytes", "cut at", "sha256")
    emit(rows, as_json, lambda: table(header, [[row[key] for key in keys] for row in rows]))


@accounting.command("cut")
@json_option
@click.pass_obj
def cut(context: Context, as_json: bool) -> None:
    """Write files of what has happened until now, of all accounts, before the period is over."""
    directory = _directory(context)
    with context.explained():
        cutter = Cutter(context.database, context.settings.accounting, directory)
        now = utcnow()
        count = cutter.round(now, now)
    emit({"events": count}, as_json, lambda: f"{count} events read")


@accounting.command("check")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), help="Only these files.")
def check(directory: Path, form: str | None) -> None:
    """Say what is missing from files that were fetched into DIRECTORY."""
    wrong = checking.check(directory, form)
    if wrong:
        raise click.ClickException("\n".join(wrong))
    click.echo("nothing is missing")


@accounting.command("access")
@account_option
@json_option
@click.pass_obj
def show(context: Context, account_name: str | None, as_json: bool) -> None:
    """Show who may fetch an account's files by SFTP."""
    with context.session() as session:
        found = access.of(session, the_account(session, account_name))
        data = _described_access(found, context.settings.accounting)
    emit(data, as_json, lambda: _shown(data))


@accounting.command("add-key")
@click.argument("key")
@account_option
@json_option
@click.pass_obj
def add_key(context: Context, key: str, account_name: str | None, as_json: bool) -> None:
    """Let the owner of KEY, the line of a .pub file, fetch the files."""
    prefix = context.settings.brand.prefix
    with context.transaction() as session:
        account = the_account(session, account_name)
        added = access.add_key(session, account, key, prefix=prefix, now=utcnow())
        _audit(session, context, account.id, "add_key", key=added.fingerprint)
        data = _described_access(access.of(session, account), context.settings.accounting)
    emit(data, as_json, lambda: _shown(data))


@accounting.command("remove-key")
@click.argument("fingerprint")
@account_option
@json_option
@click.pass_obj
def remove_key(context: Context, fingerprint: str, account_name: str | None, as_json: bool) -> None:
    """Let the owner of the key with FINGERPRINT, SHA256:…, fetch nothing more."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        removed = access.remove_key(session, account, fingerprint, utcnow())
        _audit(session, context, account.id, "remove_key", key=removed.fingerprint)
    emit({"key": fingerprint}, as_json, lambda: f"{fingerprint} is removed")


@accounting.command("password")
@click.option("--remove", is_flag=True, help="None, instead of a new one.")
@account_option
@json_option
@click.pass_obj
def password(context: Context, remove: bool, account_name: str | None, as_json: bool) -> None:
    """Make a new password for SFTP; it is printed once, now."""
    data: dict[str, Any]
    with context.transaction() as session:
        account = the_account(session, account_name)
        if remove:
            row = access.remove_password(session, account, utcnow())
            data = {"username": row.username}
            text = f"{row.username} has no password any more"
        else:
            prefix = context.settings.brand.prefix
            made = access.new_password(session, account, prefix=prefix, now=utcnow())
            data = {"username": made.access.username, "password": made.password}
            text = f"user name {data['username']}\npassword  {data['password']}  (shown once)"
        _audit(session, context, account.id, "remove_password" if remove else "new_password")
    emit(data, as_json, lambda: text)


@accounting.command("sync-users")
@json_option
@click.pass_obj
def sync_users(context: Context, as_json: bool) -> None:
    """Write the users of the accounting log's sshd; as root.  The worker does so by itself."""
    directory = _directory(context)
    rules = context.settings.accounting
    try:
        with context.session() as session:
            count = extrausers.sync(session, rules)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    unsafe = [str(path) for path in sshd.unsafe(directory)]
    for path in unsafe:
        click.echo(f"{path}: sshd lets nobody in while others than root may write it", err=True)
    data = {"users": count, "directory": str(rules.sftp_users), "unsafe": unsafe}
    emit(data, as_json, lambda: f"{count} users in {rules.sftp_users}")


@accounting.command("sshd-config")
@click.option("--unit", "what", flag_value="unit", help="The systemd unit instead.")
@click.option("--nsswitch", "what", flag_value="nsswitch", help="Its nsswitch.conf instead.")
@click.pass_obj
def sshd_config(context: Context, what: str | None) -> None:
    """Print the configuration of the sshd that serves the files."""
    rules = context.settings.accounting
    texts = {"unit": sshd.unit(rules), "nsswitch": sshd.NSSWITCH}
    click.echo(texts.get(what or "", sshd.configuration(rules)), nl=False)


def _directory(context: Context) -> Path:
    directory = context.settings.accounting.directory
    if directory is None:
        raise click.ClickException("accounting.directory is not set in the settings of this host")
    return directory


def _described(row: AccountingFile) -> dict[str, Any]:
    columns = ("name", "format", "sequence", "hour", "events", "size", "sha256", "created_at")
    return {column: getattr(row, column) for column in columns}


def _described_access(row: SftpAccess | None, rules: Accounting) -> dict[str, Any]:
    keys = access.keys_of(row) if row else []
    return {
        "host": rules.sftp_host or None,
        "port": rules.sftp_port,
        "username": row.username if row else None,
        "password": bool(row and row.password_hash),
        "keys": [
            {"fingerprint": key.fingerprint, "type": key.type, "comment": key.comment}
            for key in keys
        ],
    }


def _shown(data: dict[str, Any]) -> str:
    lines = [
        f"host      {data['host'] or '- (accounting.sftp_host is not set)'}",
        f"port      {data['port']}",
        f"user name {data['username'] or '-'}",
        f"password  {'set' if data['password'] else '-'}",
    ]
    rows = [(key["fingerprint"], key["type"], key["comment"]) for key in data["keys"]]
    return "\n".join([*lines, table(("key", "type", "comment"), rows)])


def _audit(session: Any, context: Context, account_id: int, action: str, **detail: Any) -> None:
    audit.record(session, account_id, context.actor, f"accounting.{action}", **detail)


def register(group: click.Group) -> None:
    group.add_command(accounting)
