"""`franking node`: which relay nodes there are, and which of them take new mail."""

from __future__ import annotations

from typing import Any

import click

from franking.accounts import audit
from franking.cli.context import Context, emit, json_option, table
from franking.db import utcnow
from franking.nodes import nodes
from franking.nodes.models import Node


@click.group()
def node() -> None:
    """List relay nodes; drain one before maintenance."""


def describe(row: Node) -> dict[str, Any]:
    return {
        "name": row.name,
        "state": row.state,
        "reason": row.reason,
        "changed_at": row.changed_at,
        "overload": row.overload,
        "queued": row.queued,
        "oldest_seconds": row.oldest_seconds,
        "load": None if row.load is None else round(row.load, 2),
        "reported_at": row.reported_at,
    }


@node.command("list")
@json_option
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List the nodes, with what each has last reported about its queue and its load."""
    with context.session() as session:
        data = [describe(row) for row in nodes.all_of(session)]
    header = ("name", "state", "reason", "overload", "queued", "oldest s", "load", "reported")
    keys = (
        "name", "state", "reason", "overload", "queued", "oldest_seconds", "load", "reported_at",
    )  # fmt: skip
    emit({"nodes": data}, as_json, lambda: table(header, [[row[k] for k in keys] for row in data]))


@node.command("drain")
@click.argument("name", required=False)
@click.option("--reason", help="Shown in the list.")
@json_option
@click.pass_obj
def drain(context: Context, name: str | None, reason: str | None, as_json: bool) -> None:
    """Refuse new mail on a node (this one by default) with 421 and finish what is queued."""
    now = utcnow()
    with context.transaction() as session:
        if name in {None, context.settings.node}:
            nodes.introduce(session, context.settings.node, now)
        row = nodes.drain(session, name or context.settings.node, reason, now)
        audit.record(session, None, context.actor, "node.drain", node=row.name, reason=reason)
        data = describe(row)
    emit(data, as_json, lambda: f"{data['name']} takes no new mail")


@node.command("resume")
@click.argument("name", required=False)
@json_option
@click.pass_obj
def resume(context: Context, name: str | None, as_json: bool) -> None:
    """Let a node (this one by default) take mail again."""
    with context.transaction() as session:
        row = nodes.resume(session, name or context.settings.node, utcnow())
        audit.record(session, None, context.actor, "node.resume", node=row.name)
        data = describe(row)
    overload = f", when its overload is over: {data['overload']}" if data["overload"] else ""
    emit(data, as_json, lambda: f"{data['name']} takes mail again{overload}")


def register(group: click.Group) -> None:
    group.add_command(node)
