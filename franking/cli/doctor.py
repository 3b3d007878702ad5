"""`franking doctor`: what is wrong with this node, before customers notice."""

from __future__ import annotations

import click

from franking import doctor
from franking.cli.context import Context, emit, json_option

MARKS = {doctor.OK: "✓", doctor.WARN: "!", doctor.FAIL: "✗"}


@click.command("doctor")
@json_option
@click.pass_obj
def command(context: Context, as_json: bool) -> None:
    """Check everything this node needs; exit 1 when a check fails."""
    findings = doctor.examine(context.settings)
    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.status]} {finding.name}: {finding.detail}")
        if finding.fix:
            lines.append(f"    {finding.fix}")
    failed = any(finding.status == doctor.FAIL for finding in findings)
    data = {"ok": not failed, "findings": [vars(finding) for finding in findings]}
    emit(data, as_json, lambda: "\n".join(lines))
    if failed:
        raise click.exceptions.Exit(1)


def register(group: click.Group) -> None:
    group.add_command(command)
