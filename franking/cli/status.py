"""`franking status`: lag, backlogs and alarms of everything that happens after the 250."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import click

from franking import status as state
from franking.cli.context import Context, emit, json_option, table
from franking.db import utcnow
from franking.status import Figure


@click.command()
@json_option
@click.option("--all", "all_", is_flag=True, help="Show what is 0, too.")
@click.pass_obj
def status(context: Context, as_json: bool, all_: bool) -> None:
    """Show how far the workers are behind, and what waits; the same figures as for Prometheus.

    Of the mail log and of incoming mail: this node's.
    """
    with context.session() as session:
        found = list(state.figures(session, context.settings, utcnow()))
    emit([asdict(each) for each in found], as_json, lambda: _shown(found, all_=all_))


def _shown(found: Iterable[Figure], *, all_: bool) -> str:
    rows = [
        (each.name, " ".join(each.labels.values()), f"{round(each.value, 1):g}", each.help)
        for each in found
        if all_ or each.value
    ]
    return table(("figure", "of", "value", ""), rows) if rows else "nothing waits"


def register(main: click.Group) -> None:
    main.add_command(status)
