"""`franking deliverability`: how the Internet sees our nodes, a domain, or any mail server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from franking.cli.context import Context, emit, json_option
from franking.db import utcnow
from franking.deliverability import elsewhere, results
from franking.deliverability.domain import of_domain
from franking.deliverability.findings import Finding, run
from franking.deliverability.visit import Tls
from franking.dns.lookups import Resolvers
from franking.domains import names
from franking.reasons import Invalid

MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}


def lines(findings: Sequence[Finding]) -> list[str]:
    """What people read: a line each, and below it what helps."""
    printed = []
    for finding in findings:
        what = f"{finding.name} {finding.subject}".rstrip()
        printed.append(f"{MARKS[finding.status]} {what}: {finding.detail}")
        if finding.fix:
            printed.append(f"    {finding.fix}")
    return printed


def describe(report: results.Report) -> dict[str, Any]:
    return {
        "node": report.node,
        "checked_at": report.checked_at,
        "findings": [finding.data() for finding in report.findings],
    }


@click.group("deliverability")
def group() -> None:
    """PTR, block lists, certificates, open ports: what decides whether mail arrives."""


@group.command("show")
@json_option
@click.pass_obj
def show(context: Context, as_json: bool) -> None:
    """What is known of every node (`franking-worker dns` asks every hour)."""
    with context.session() as session:
        reports = results.load(session)
    printed = []
    for report in reports:
        printed.append(f"{report.node}, as of {report.checked_at:%Y-%m-%d %H:%M}Z")
        printed += [f"  {line}" for line in lines(report.findings)]
    data = {"nodes": [describe(report) for report in reports]}
    emit(data, as_json, lambda: "\n".join(printed) or "(nothing yet: run franking doctor --now)")


@group.command("domain")
@click.argument("name")
@json_option
@click.pass_obj
def domain(context: Context, name: str, as_json: bool) -> None:
    """Look at any domain as receivers do; exit 1 when a check fails."""
    try:
        asked = names.to_ascii(name)
    except Invalid as reason:
        raise click.ClickException(str(reason)) from reason
    settings = context.settings
    lookup = Resolvers(settings.dns)
    found = of_domain(asked, lookup, settings.deliverability, settings.dns)
    _tell({"domain": asked}, found, as_json)


@group.command("probe")
@click.argument("host")
@click.option("--starttls", type=click.IntRange(1, 65535), multiple=True, help="A port.")
@click.option("--implicit", type=click.IntRange(1, 65535), multiple=True, help="A port with TLS.")
@json_option
@click.pass_obj
def probe(
    context: Context, host: str, starttls: Sequence[int], implicit: Sequence[int], as_json: bool
) -> None:
    """Connect to a mail server's ports as a client would: greeting, TLS, certificate.

    Run it on a machine outside your network to see what the world sees.  Ports 25, 465, 587 and
    2525 unless others are named; needs no database and no settings.
    """
    ports: dict[int, Tls] = dict.fromkeys(starttls, "starttls")
    ports |= dict.fromkeys(implicit, "implicit")
    settings = context.settings
    lookup = Resolvers(settings.dns)
    ports = ports or elsewhere.STANDARD_PORTS
    found = run(elsewhere.probe(lookup, settings.deliverability, host.lower(), ports, utcnow()))
    _tell({"host": host}, found, as_json)


def _tell(about: dict[str, Any], findings: Sequence[Finding], as_json: bool) -> None:
    failed = any(finding.status == "fail" for finding in findings)
    data = about | {"ok": not failed, "findings": [finding.data() for finding in findings]}
    emit(data, as_json, lambda: "\n".join(lines(findings)))
    if failed:
        raise click.exceptions.Exit(1)


def register(main: click.Group) -> None:
    main.add_command(group)
