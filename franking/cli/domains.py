"""`franking domain`: sending domains and their DNS records."""

from __future__ import annotations

import click

from franking.accounts import audit
from franking.cli import domain_pages
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
from franking.domains import hosts, keys, life, ownership, zonefile
from franking.domains.found import statuses
from franking.domains.ownership import Method
from franking.domains.records import RelayNames
from franking.settings import SettingsError


@click.group()
def domain() -> None:
    """Add, check and remove sending domains."""


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
    pairs = keys.prepared(own.dkim)
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = ownership.add(
            session, account, name, master_key=master_key, dkim=own.dkim,
            method=method or ("cname" if own.dkim.zone else "txt"), prefix=own.brand.prefix,
            pairs=pairs,
        )  # fmt: skip
        audit.record(session, account.id, context.actor, "domain.add", domain=row.name)
        data = domain_pages.with_records(session, row, own)
    emit(data, as_json, lambda: "\n".join(domain_pages.page(data)))


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
        data = domain_pages.with_records(session, row, context.settings)
        shown = statuses(session, row, RelayNames.of(context.settings))
    zone = zonefile.zone_text([each.record for each in shown])
    if as_zone:
        click.echo(zone, nl=False)
    else:
        emit(data, as_json, lambda: "\n".join(domain_pages.page(data)))


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


def _lost(name: str) -> None:
    click.echo(f"{name}: the relay's own zone has lost this key; it is told again", err=True)


def _look(context: Context, name: str, account_name: str | None, as_json: bool) -> None:
    own = context.settings
    with context.session() as session:
        row = ownership.get(session, the_account(session, account_name), name)
    with context.explained():
        life.look_at(context.database, own, Resolvers(own.dns), row.id, utcnow(), alarm=_lost)
    with context.session() as session:
        row = ownership.get(session, the_account(session, account_name), name)
        data = domain_pages.with_records(session, row, own)
    emit(data, as_json, lambda: "\n".join(domain_pages.result(data)))
    if life.state(row) in ("pending", "suspended"):
        raise click.exceptions.Exit(1)


def _assume(context: Context, name: str, account_name: str | None, as_json: bool) -> None:
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = ownership.get(session, account, name)
        ownership.mark_verified(session, row, by="assumed")
        audit.record(
            session, account.id, context.actor, "domain.verify", domain=row.name, by="assumed"
        )
        data = domain_pages.describe(row)
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
        data = domain_pages.describe(row)
    now = "may send" if allow else "may not send"
    emit(data, as_json, lambda: f"names below {data['domain']} {now}")


@domain.command("hosts")
@click.argument("name")
@click.option("--return-path", metavar="HOST", help="Where bounces come back to, such as bounce.")
@click.option("--tracking", metavar="HOST", help="For links; `none` for none.")
@account_option
@json_option
@click.pass_obj
def hosts_(
    context: Context, /, name: str, account_name: str | None, as_json: bool, **chosen: str | None
) -> None:
    """Choose the hosts below NAME for bounces and tracking; publish their records then."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = ownership.get(session, account, name)
        return_path = chosen["return_path"] or row.return_path_host
        tracking = chosen["tracking"] or row.tracking_host
        wanted = {"return_path": return_path, "tracking": None if tracking == "none" else tracking}
        row = hosts.name_hosts(
            session, account, name,
            return_path=return_path, tracking=wanted["tracking"], now=utcnow(),
        )  # fmt: skip
        audit.record(session, account.id, context.actor, "domain.hosts", domain=row.name, **wanted)
        data = domain_pages.with_records(session, row, context.settings)
    emit(data, as_json, lambda: "\n".join(domain_pages.result(data)))


@domain.command("list")
@account_option
@json_option
@click.pass_obj
def list_(context: Context, account_name: str | None, as_json: bool) -> None:
    """List an account's domains."""
    columns = ("domain", "status", "verified_at", "checked_at", "subdomains")
    with context.session() as session:
        rows = [
            domain_pages.describe(row)
            for row in ownership.all_of(session, the_account(session, account_name))
        ]
    emit(rows, as_json, lambda: table(columns, [[r[c] for c in columns] for r in rows]))


def register(group: click.Group) -> None:
    group.add_command(domain)
