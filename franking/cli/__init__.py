"""`franking`: the operator's command line, a thin face of the same functions as the panel.

Every command takes `--json`.  Where a command works on an account, `--account` may be left out
while there is only one.  Exit status: 0 done, 1 refused (the reason is on stderr), 2 wrong usage.
"""

from __future__ import annotations

from pathlib import Path

import click

import franking
from franking import settings as settings_module
from franking.cli import (
    accounting,
    accounts,
    credentials,
    database,
    deliverability,
    deposits,
    dkim,
    dmarc,
    doctor,
    domains,
    endpoints,
    init,
    invoices,
    ledger,
    master_key,
    messages,
    money,
    nodes,
    plans,
    postfix,
    prices,
    reservations,
    statements,
    status,
    streams,
    suppressions,
)
from franking.cli.context import Context


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(franking.__version__)
@click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    help="Settings file (default: $FRANKING_SETTINGS, then /etc/franking/franking.toml).",
)
@click.pass_context
def main(ctx: click.Context, file: Path | None) -> None:
    """Operate a Franking relay: accounts, credentials, domains, money, messages."""
    try:
        ctx.obj = Context(settings_module.load(file))
    except settings_module.SettingsError as error:
        raise click.ClickException(str(error)) from error


for module in (
    init,
    master_key,
    accounting,
    accounts,
    credentials,
    domains,
    dkim,
    dmarc,
    endpoints,
    money,
    deposits,
    ledger,
    reservations,
    plans,
    prices,
    messages,
    doctor,
    status,
    database,
    deliverability,
    nodes,
    postfix,
    statements,
    invoices,
    streams,
    suppressions,
):
    module.register(main)
