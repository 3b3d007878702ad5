"""`franking domain`: sending domains and their DNS records."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.models import Account
from franking.cli.context import (
    Context,
    account_option,
    emit,
    json_option,
    table,
    the_account,
)
from franking.domains import check, ownership
from franking.domains.models import Domain
from franking.domains.records import Record, expected_records
from franking.settings import SettingsError


@click.group()
def domain() -> None:
    """Add, verify and list sending domains."""


def describe(row: Domain, records: list[Record] | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "domain": row.name,
        "status": "verified" if row.verified_at else "pending",
        "verified_at": row.verified_at,
        "verified_by": row.verified_by,
        "subdomains": row.allow_subdomains,
    }
    if records is not None:
        data["records"] = [vars(record) for record in records]
    return data


def _records(session: Session, row: Domain) -> list[Record]:
    return expected_records(row, ownership.keys_of(session, row))


def _print_records(data: dict[str, Any]) -> str:
    lines = [f"{data['domain']}: {data['status']}; publish these records:"]
    for record in data["records"]:
        lines += [f"  {record['name']}  {record['type']}", f'    "{record["value"]}"']
    return "\n".join(lines)


@domain.command("add")
@click.argument("name")
@account_option
@json_option
@click.pass_obj
def add(context: Context, name: str, account_name: str | None, as_json: bool) -> None:
    """Add the domain NAME and print the DNS records to publish."""
    try:
        master_key = context.settings.master_key_bytes()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = ownership.add(session, account, name, master_key=master_key)
        audit.record(session, account.id, context.actor, "domain.add", domain=row.name)
        data = describe(row, _records(session, row))
    emit(data, as_json, lambda: _print_records(data))


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
    """Look at the DNS records of NAME; when all are published, it may send."""
    if assume:
        click.echo(
            "WARNING: marked as verified without looking at the DNS. Receivers will not be able"
            " to check its signatures. For demonstrations and tests only.",
            err=True,
        )
        _mark(context, name, account_name, "assumed", as_json)
        return
    with context.session() as session:
        row = ownership.get(session, the_account(session, account_name), name)
        findings = check.check(_records(session, row), check.resolve_txt)
    if all(finding.status == "verified" for finding in findings):
        _mark(context, name, account_name, "dns", as_json)
        return
    advice = [finding.advice for finding in findings]
    data = {"domain": name, "status": "pending", "advice": advice}
    emit(data, as_json, lambda: "\n".join(advice))
    raise click.exceptions.Exit(1)


def _mark(context: Context, name: str, account_name: str | None, by: str, as_json: bool) -> None:
    with context.transaction() as session:
        account: Account = the_account(session, account_name)
        row = ownership.get(session, account, name)
        ownership.mark_verified(session, row, by=by)
        audit.record(session, account.id, context.actor, "domain.verify", domain=row.name, by=by)
        data = describe(row)
    emit(data, as_json, lambda: f"{data['domain']} is verified ({by})")


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
    """List an account's domains with the records they need."""
    with context.session() as session:
        rows = [
            describe(row, _records(session, row))
            for row in ownership.all_of(session, the_account(session, account_name))
        ]
    emit(
        rows,
        as_json,
        lambda: table(
            ("domain", "status", "verified", "by", "subdomains"),
            [
                (
                    r["domain"],
                    r["status"],
                    r["verified_at"],
                    r["verified_by"],
                    "yes" if r["subdomains"] else "no",
                )
                for r in rows
            ],
        ),
    )


def register(group: click.Group) -> None:
    group.add_command(domain)
