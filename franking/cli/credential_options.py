"""The options of `franking credential create` and `set`, and how a credential is shown.

Lists replace what there was; `none` empties them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from franking.accounts import credentials
from franking.accounts.credential_options import Options, plain
from franking.accounts.models import Credential, CredentialUse
from franking.cli import rules as rule_arguments
from franking.cli.context import table
from franking.cli.rules import NONE

NEVER = "never"

_F = TypeVar("_F", bound=Callable[..., Any])


class _Expiry(click.ParamType[datetime | str]):
    name = "expiry"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | str:
        if value == NEVER:
            return NEVER
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: write 2027-01-31, 2027-01-31T18:00 or never", param, ctx)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def wishes(command: _F) -> _F:
    """Adds the options; the command gets them as keyword arguments for `edited`."""
    for option in (
        click.option(
            "--allow-plaintext/--require-encryption",
            default=None,
            help="Whether it may log in without TLS, from its networks, where a listener offers"
            " that.",
        ),
        click.option(
            "--domain",
            "domains",
            multiple=True,
            metavar="DOMAIN",
            help="May send from this domain and what is below it only; may be given many times;"
            " `none` lifts it.",
        ),
        click.option(
            "--network",
            "networks",
            multiple=True,
            metavar="CIDR",
            help="May log in from this network only; may be given many times; `none` lifts it.",
        ),
        click.option(
            "--expires",
            type=_Expiry(),
            metavar="DATE|never",
            help="Refused from then on; UTC, 0 o'clock when no time is given.",
        ),
        click.option("--stream", help="The stream that its messages belong to."),
    ):
        command = option(command)
    return rule_arguments.rule_options(command)


def edited(
    current: Options,
    *,
    stream: str | None,
    expires: datetime | str | None,
    networks: Sequence[str],
    domains: Sequence[str],
    allow_plaintext: bool | None,
    rules: Sequence[str],
    limits: Sequence[str],
) -> Options:
    """These options with what the command line says; raises Invalid."""
    options = replace(
        current, rules=rule_arguments.edited(current.rules, rules, limits, by="credential")
    )
    if stream is not None:
        options = replace(options, stream=stream)
    if expires is not None:
        moment = expires if isinstance(expires, datetime) else None
        options = replace(options, expires_at=moment)
    if networks:
        options = replace(options, source_networks=_all_but_none(networks))
    if domains:
        options = replace(options, sending_domains=_all_but_none(domains))
    if allow_plaintext is not None:
        options = replace(options, allow_plaintext=allow_plaintext)
    return options


def _all_but_none(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(value for value in values if value != NONE)


def describe(row: Credential, now: datetime) -> dict[str, Any]:
    return {
        "username": row.username,
        "name": row.name,
        "mode": row.mode,
        "status": credentials.state_of(row, now),
        "secret_ends_with": row.secret_hint,
        "previous_ends_with": row.previous_hint,
        "previous_until": row.previous_until,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
        "last_used_at": row.last_used_at,
        "last_used_ip": row.last_used_ip,
        "last_used_helo": row.last_used_helo,
        **plain(credentials.options_of(row)),
    }


def described_use(row: Credential, use: CredentialUse, now: datetime) -> dict[str, Any]:
    return {
        "secret_ends_with": use.secret_hint,
        "secret_state": credentials.secret_state(row, use.secret_hint, now),
        "client_ip": use.client_ip,
        "client_helo": use.client_helo,
        "listener": use.listener,
        "first_used_at": use.first_used_at,
        "last_used_at": use.last_used_at,
    }


def shown(row: Credential, clients: Sequence[dict[str, Any]], now: datetime) -> str:
    """All there is to know, for people."""
    options = credentials.options_of(row)
    secrets = [f"…{row.secret_hint}"]
    if row.previous_until is not None:
        word = "works" if credentials.overlapping(row, now) else "worked"
        secrets.append(f"…{row.previous_hint}, which {word} until {row.previous_until:%F %TZ}")
    facts = {
        "name": f"{row.name} ({row.mode}, stream {options.stream})",
        "status": credentials.state_of(row, now),
        "secret": ", before it ".join(secrets),
        "expires": f"{options.expires_at:%F %TZ}" if options.expires_at else NEVER,
        "networks": ", ".join(options.source_networks) or "any",
        "domains": ", ".join(options.sending_domains) or "all of the account",
        "encryption": "not required" if options.allow_plaintext else "required",
        "rules": "; ".join(rule_arguments.lines(options.rules, changed_only=True))
        or "those of the plan",
    }
    lines = [f"  {name:<11} {value}" for name, value in facts.items()]
    return "\n".join([row.username, *lines, "clients:", _clients(clients)])


def _clients(clients: Sequence[dict[str, Any]]) -> str:
    return table(
        ("secret", "", "address", "EHLO", "listener", "last used"),
        [
            (
                "…" + c["secret_ends_with"],
                c["secret_state"],
                c["client_ip"],
                c["client_helo"],
                c["listener"],
                c["last_used_at"],
            )
            for c in clients
        ],
    )
