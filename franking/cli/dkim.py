"""`franking dkim`: signing keys, their rotation, and the relay's own zone (docs/dkim.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.models import Account
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.db import utcnow
from franking.domains import keys, ownership, publication
from franking.domains.models import METHODS, Domain
from franking.domains.rotation import steps
from franking.domains.rotation.status import KeyStatus, status
from franking.settings import SettingsError

HEADER = ("domain", "selector", "algorithm", "state", "by", "signs since", "seen", "next")


@click.group()
def dkim() -> None:
    """Show and rotate signing keys; publish those that customers' CNAMEs lead to."""


def describe(domain: Domain, key: KeyStatus) -> dict[str, Any]:
    return {
        "domain": domain.name,
        "selector": key.selector,
        "algorithm": key.algorithm,
        "state": key.state,
        "method": key.method,
        "created_at": key.created_at,
        "activated_at": key.activated_at,
        "seen_at": key.seen_at,
        "next_at": key.next_at,
        "waits_for": key.waits_for,
        "record": key.record.name,
        "type": "CNAME" if key.target else "TXT",
        "value": key.target or key.record.value,
    }


def _described(session: Session, context: Context, domain: Domain) -> list[dict[str, Any]]:
    own = context.settings
    found = status(session, domain, utcnow(), own.dkim, own.dns.ttl)
    return [describe(domain, key) for key in found]


@dkim.command("status")
@click.argument("name", metavar="DOMAIN", required=False)
@account_option
@json_option
@click.pass_obj
def status_(context: Context, name: str | None, account_name: str | None, as_json: bool) -> None:
    """Show the keys of DOMAIN, or of all domains.

    The column "next" says when a pending key may sign, a signing one is replaced, a retiring one
    is removed.
    """
    with context.session() as session:
        data = [
            key
            for domain in _domains(session, name, account_name)
            for key in _described(session, context, domain)
        ]
    emit(data, as_json, lambda: _shown(data))


def _domains(session: Session, name: str | None, account_name: str | None) -> Sequence[Domain]:
    if name is not None:
        return [ownership.get(session, the_account(session, account_name), name)]
    if account_name is not None:
        return ownership.all_of(session, the_account(session, account_name))
    kept = select(Domain).where(Domain.removed_at.is_(None)).order_by(Domain.name, Domain.id)
    return session.scalars(kept).all()


def _shown(data: list[dict[str, Any]]) -> str:
    columns = (
        "domain", "selector", "algorithm", "state", "type", "activated_at", "seen_at", "next_at",
    )  # fmt: skip
    lines = [table(HEADER, [[key[column] for column in columns] for key in data])]
    lines += [f"{key['selector']} of {key['domain']}: {key['waits_for']}"
              for key in data if key["waits_for"]]  # fmt: skip
    return "\n".join(lines)


@dkim.command("rotate")
@click.argument("name", metavar="DOMAIN")
@click.option("--selector", help="Of the new TXT record; by default its year and quarter.")
@account_option
@json_option
@click.pass_obj
def rotate(
    context: Context, name: str, selector: str | None, account_name: str | None, as_json: bool
) -> None:
    """Make a new key for DOMAIN now; it signs as soon as everybody sees its record."""
    master_key, pairs = _master_key(context), keys.prepared(context.settings.dkim)
    with context.transaction() as session:
        account = the_account(session, account_name)
        domain = ownership.get(session, account, name)
        steps.begin(
            session, domain, utcnow(), own=context.settings.dkim, master_key=master_key,
            prefix=context.settings.brand.prefix, selector=selector, pairs=pairs,
        )  # fmt: skip
        data = _recorded(session, context, account, domain, "dkim.rotate")
    emit(data, as_json, lambda: _what_next(data))


@dkim.command("method")
@click.argument("name", metavar="DOMAIN")
@click.argument("method", type=click.Choice(METHODS))
@account_option
@json_option
@click.pass_obj
def method_(
    context: Context, name: str, method: str, account_name: str | None, as_json: bool
) -> None:
    """Publish the keys of DOMAIN as TXT records of its own, or by CNAMEs into the relay's zone."""
    master_key, pairs = _master_key(context), keys.prepared(context.settings.dkim)
    with context.transaction() as session:
        account = the_account(session, account_name)
        domain = ownership.get(session, account, name)
        steps.switch_method(
            session, domain, cast(steps.Method, method), utcnow(), own=context.settings.dkim,
            master_key=master_key, prefix=context.settings.brand.prefix, pairs=pairs,
        )  # fmt: skip
        data = _recorded(session, context, account, domain, "dkim.method", method=method)
    emit(data, as_json, lambda: _what_next(data))


def _recorded(
    session: Session, context: Context, account: Account, domain: Domain, act: str, **more: str
) -> list[dict[str, Any]]:
    audit.record(session, account.id, context.actor, act, domain=domain.name, **more)
    return _described(session, context, domain)


def _what_next(data: list[dict[str, Any]]) -> str:
    coming = [key for key in data if key["state"] == "pending"]
    if not coming:
        return "nothing needs to be published"
    lines = ["publish, unless it is there already:"]
    for key in coming:
        quotes = '"' if key["type"] == "TXT" else ""
        lines += [f"  {key['record']}  {key['type']}", f"    {quotes}{key['value']}{quotes}"]
    lines.append(
        "The present key signs until these are seen at the domain's name servers and at every"
        " configured resolver; then franking-worker dns changes over by itself, and the old"
        " record stays until `franking dkim status` lists its key no more."
    )
    return "\n".join(lines)


def _master_key(context: Context) -> bytes:
    try:
        return context.settings.master_key_bytes()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@dkim.command("zone")
@click.pass_obj
def zone(context: Context) -> None:
    """Print the records of the relay's own zone, as a file to be included in it."""
    _need_zone(context)
    with context.session() as session:
        click.echo(publication.text(session, context.settings.dkim), nl=False)


@dkim.command("published")
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
@json_option
@click.pass_obj
def published(context: Context, file: Path | None, as_json: bool) -> None:
    """Say that the zone was loaded: FILE as `franking dkim zone` has printed it, or all of it."""
    _need_zone(context)
    loaded = file.read_text() if file else None
    with context.transaction() as session:
        count = publication.told(session, context.settings.dkim, utcnow(), loaded)
    data = {"changed": count}
    emit(data, as_json, lambda: f"{count} records were new, changed or withdrawn")


@dkim.command("publish")
@click.option("--all", "everything", is_flag=True, help="Also what the server was told before.")
@json_option
@click.pass_obj
def publish(context: Context, everything: bool, as_json: bool) -> None:
    """Tell the server of the relay's own zone what it does not know yet (RFC 2136).

    franking-worker dns does so every few minutes.
    """
    with context.explained():
        done = publication.publish(
            context.database, context.settings.dkim, utcnow(), node=context.settings.node,
            everything=everything,
        )  # fmt: skip
    lines = [f"{done.told} records told", *(f"{name}: {e}" for name, e in done.errors.items())]
    emit({"told": done.told, "errors": done.errors}, as_json, lambda: "\n".join(lines))
    if done.errors:
        raise click.exceptions.Exit(1)


def _need_zone(context: Context) -> None:
    if not context.settings.dkim.zone:
        raise click.ClickException("this relay has no zone of its own: set dkim.zone")


def register(group: click.Group) -> None:
    group.add_command(dkim)
