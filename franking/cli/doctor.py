"""`franking doctor`: what is wrong with this node, before customers notice."""

from __future__ import annotations

import click

from franking import doctor
from franking.cli.context import Context, emit, json_option
from franking.cli.deliverability import MARKS, describe, lines


@click.command("doctor")
@click.option("--now", "again", is_flag=True, help="Ask the Internet now, not what was last found.")
@json_option
@click.pass_obj
def command(context: Context, again: bool, as_json: bool) -> None:
    """Check everything this node needs; exit 1 when a check fails."""
    findings = doctor.examine(context.settings)
    report = doctor.deliverability(context.settings, again=again)
    printed = []
    for finding in findings:
        printed.append(f"{MARKS[finding.status]} {finding.name}: {finding.detail}")
        if finding.fix:
            printed.append(f"    {finding.fix}")
    printed += ["", f"Deliverability, as of {report.checked_at:%Y-%m-%d %H:%M}Z (--now asks again)"]
    printed += lines(report.findings)
    statuses = {f.status for f in findings} | {f.status for f in report.findings}
    failed = doctor.FAIL in statuses
    data = {
        "ok": not failed,
        "findings": [vars(finding) for finding in findings],
        "deliverability": describe(report),
    }
    emit(data, as_json, lambda: "\n".join(printed))
    if failed:
        raise click.exceptions.Exit(1)


def register(group: click.Group) -> None:
    group.add_command(command)
