"""`franking domain`: sending domains and their DNS records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.cli.context import (
    Context,
    account_option,
    emit,
    json_option,
    table,
    the_account,
)
from franking.db import utcnow
from franking.dns.lookups import Resolvers
from franking.domains import life, ownership, zonefile
from franking.domains.models import Domain
from franking.domains.ownership import Method
from franking.domains.records import RelayNames
from franking.settings import Settings, SettingsError


@click.group()
def domain() -> None:
    """Add, check and remove sending domains."""


def describe(row: Domain) -> dict[str, Any]:
    return {
        "domain": row.name,
        "status": life.state(row),
        "verified_at": row.verified_at,
        "verified_by": row.verified_by,
        "checked_at": row.checked_at,
        "failing_since": row.failing_since,
        "suspended_at": row.suspended_at,
        "subdomains": row.allow_subdomains,
        "dkim_method": row.dkim_method,
    }


def with_records(session: Session, row: Domain, settings: Settings) -> dict[str, Any]:
    """`obstacle`: why it is not verified although its records are right."""
    shown = life.statuses(session, row, RelayNames.of(settings))
    right = all(each.status == "verified" for each in shown if each.record.required)
    return {
        **describe(row),
        "obstacle": life.obstacle(session, row) if right else None,
        "records": [_record(each) for each in shown],
    }


def _record(shown: life.Shown) -> dict[str, Any]:
    record = shown.record
    return {
        **{name: getattr(record, name) for name in ("purpose", "required", "name")},
        "relative_name": record.relative_name,
        **{name: getattr(record, name) for name in ("type", "value", "quoted", "ttl", "why")},
        **{name: getattr(shown, name) for name in ("status", "fault", "found", "advice")},
        "seen_at": shown.seen_at,
        "checked_at": shown.checked_at,
    }


@domain.command("add")
@click.argument("name")
@click.option(
    "--dkim",
    "method",
    type=click.Choice(["txt", "cname"]),
    help="How its keys are published; cname is the default where the relay has a zone for it.",
)
@account_option
@json_option
@click.pass_obj
def add(
    context: Context, name: str, method: Method | None, account_name: str | None, as_json: bool
) -> None:
    """Add the domain NAME and print the DNS records to publish."""
    own = context.settings
    try:
        master_key = own.master_key_bytes()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = ownership.add(
            session, account, name, master_key=master_key, dkim=own.dkim,
            method=method or ("cname" if own.dkim.zone else "txt"), prefix=own.brand.prefix,
        )  # fmt: skip
        audit.record(session, account.id, context.actor, "domain.add", domain=row.name)
        data = with_records(session, row, own)
    emit(data, as_json, lambda: "\n".join(_page(data)))


@domain.command("show")
@click.argument("name")
@click.option("--zone", "as_zone", is_flag=True, help="Print the records as a zone file.")
@account_option
@json_option
@click.pass_obj
def show(
    context: Context, name: str, as_zone: bool, account_name: str | None, as_json: bool
) -> None:
    """Show the records of NAME, and what the last look has found."""
    with context.session() as session:
        row = ownership.get(session, the_account(session, account_name), name)
        data = with_records(session, row, context.settings)
        shown = life.statuses(session, row, RelayNames.of(context.settings))
    zone = zonefile.zone_text([each.record for each in shown])
    if as_zone:
        click.echo(zone, nl=False)
    else:
        emit(data, as_json, lambda: "\n".join(_page(data)))


def _page(data: dict[str, Any]) -> Iterator[str]:
    yield _headline(data)
    for record in data["records"]:
        need = "required" if record["required"] else "advised"
        status = record["status"].replace("_", " ")
        yield f"\n{record['purpose'].replace('_', ' ')} ({need}): {status}"
        yield f"  {record['name']}  {record['type']}  {record['ttl']}"
        yield f"    {record['quoted']}"
        for text in record["found"]:
            yield f"  found {text}"
        if record["advice"]:
            yield f"  {record['advice']}"


def _headline(data: dict[str, Any]) -> str:
    by = " (assumed)" if data["verified_by"] == "assumed" else ""
    said = f"{data['domain']}: {data['status']}{by}"
    return f"{said}\n{data['obstacle']}" if data["obstacle"] else said


@domain.command("check")
@click.argument("name")
@account_option
@json_option
@click.pass_obj
def check(context: Context, name: str, account_name: str | None, as_json: bool) -> None:
    """Look at the DNS records of NAME now; exit status 1 if it may not send."""
    _look(context, name, account_name, as_json)


@domain.command("verify")
@click.argument("name")
@click.option(
    "--assume",
    is_flag=True,
    help="Mark it verified without looking at the DNS: for demonstrations and tests only.",
)
@account_option
@json_option
@click.pass_obj
def verify(
    context: Context, name: str, assume: bool, account_name: str | None, as_json: bool
) -> None:
    """The same as `check`."""
    if assume:
        click.echo(
            "WARNING: marked as verified without looking at the DNS. Receivers will not be able"
            " to check its signatures. For demonstrations and tests only.",
            err=True,
        )
        _assume(context, name, account_name, as_json)
    else:
        _look(context, name, account_name, as_json)


def _look(context: Context, name: str, account_name: str | None, as_json: bool) -> None:
    own = context.settings
    with context.session() as session:
        row = ownership.get(session, the_account(session, account_name), name)
    with context.explained():
        life.look_at(context.database, own, Resolvers(own.dns), row.id, utcnow())
    with context.session() as session:
        row = ownership.get(session, the_account(session, account_name), name)
        data = with_records(session, row, own)
    emit(data, as_json, lambda: "\n".join(_result(data)))
    if life.state(row) in ("pending", "suspended"):
        raise click.exceptions.Exit(1)


def _result(data: dict[str, Any]) -> Iterator[str]:
    rows = [
        (r["purpose"].replace("_", " "), "required" if r["required"] else "advised", r["type"],
         r["name"], r["status"].replace("_", " "))
        for r in data["records"]
    ]  # fmt: skip
    yield table(("record", "", "type", "name", "status"), rows)
    yield ""
    for record in data["records"]:
        if record["advice"]:
            yield f"{record['name']}: {record['advice']}"
    yield _headline(data)


def _assume(context: Context, name: str, account_name: str | None, as_json: bool) -> None:
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = ownership.get(session, account, name)
        ownership.mark_verified(session, row, by="assumed")
        audit.record(
            session, account.id, context.actor, "domain.verify", domain=row.name, by="assumed"
        )
        data = describe(row)
    emit(data, as_json, lambda: f"{data['domain']} is verified (assumed)")


@domain.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@account_option
@json_option
@click.pass_obj
def remove(context: Context, name: str, yes: bool, account_name: str | None, as_json: bool) -> None:
    """Forget NAME with its keys; mail from it is refused at once."""
    with context.session() as session:
        row = ownership.get(session, the_account(session, account_name), name)
    if not yes:
        click.confirm(
            f"Remove {row.name}? Its keys are deleted, and mail that is still under way can no"
            " longer be verified once its record is gone",
            abort=True,
        )
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = ownership.remove(session, account, name, utcnow())
        audit.record(session, account.id, context.actor, "domain.remove", domain=row.name)
        data = {"domain": row.name, "status": "removed"}
    emit(data, as_json, lambda: f"{data['domain']} is removed; its DNS records may go, too")


@domain.command("subdomains")
@click.argument("name")
@click.option("--allow/--refuse", required=True, help="Whether names below NAME may send too.")
@account_option
@json_option
@click.pass_obj
def subdomains(
    context: Context, name: str, allow: bool, account_name: str | None, as_json: bool
) -> None:
    """Let every name below the domain NAME send, signed with its keys, or no longer."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = ownership.allow_subdomains(session, account, name, allow=allow)
        audit.record(
            session, account.id, context.actor, "domain.subdomains", domain=row.name, allow=allow
        )
        data = describe(row)
    now = "may send" if allow else "may not send"
    emit(data, as_json, lambda: f"names below {data['domain']} {now}")


@domain.command("list")
@account_option
@json_option
@click.pass_obj
def list_(context: Context, account_name: str | None, as_json: bool) -> None:
    """List an account's domains."""
    columns = ("domain", "status", "verified_at", "checked_at", "subdomains")
    with context.session() as session:
        rows = [
            describe(row) for row in ownership.all_of(session, the_account(session, account_name))
        ]
    emit(rows, as_json, lambda: table(columns, [[r[c] for c in columns] for r in rows]))


def register(group: click.Group) -> None:
    group.add_command(domain)
