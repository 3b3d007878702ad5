"""`franking dmarc`: who sends in a domain's name, and its way to p=reject (docs/dmarc.md)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.models import Account
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.db import utcnow
from franking.domains import ownership
from franking.domains.dmarc import authorisation, newcomers, stages, store, summary
from franking.domains.dmarc.attachments import Unreadable
from franking.domains.dmarc.reports import Limits, Report, read_report
from franking.domains.dmarc.stages import Step
from franking.domains.dmarc.summary import SourceRow
from franking.domains.models import Domain
from franking.domains.names import and_above
from franking.domains.records import RelayNames
from franking.reasons import NotFound

SOURCES = ("source", "yours", "messages", "aligned", "dkim", "spf", "first seen", "last seen")


@click.group()
def dmarc() -> None:
    """Show receivers' reports and the next policy; say which sources are yours."""


@dmarc.command("status")
@click.argument("name", metavar="DOMAIN")
@account_option
@json_option
@click.pass_obj
def status(context: Context, name: str, account_name: str | None, as_json: bool) -> None:
    """Show the policy of DOMAIN, and the next one: its record, or why it is too early for it."""
    own = context.settings
    with context.session() as session:
        domain = ownership.get(session, the_account(session, account_name), name)
        step = stages.next_step(session, domain, utcnow(), own.dmarc, RelayNames.of(own))
        data = _described(domain, step)
    emit(data, as_json, lambda: "\n".join(_page(data)))


def _described(domain: Domain, step: Step | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "domain": domain.name,
        "policy": domain.dmarc_stage if domain.dmarc_since else None,
        "since": domain.dmarc_since,
        "days_of_each_stage": stages.days_of(domain),
        "next": None,
    }
    if step is not None:
        data |= {
            "next": step.next,
            "offered": step.offered,
            "record": step.record,
            "obstacles": list(step.obstacles),
            "unjudged": [row.source for row in step.unjudged],
            "messages": step.volume.messages,
            "aligned": step.volume.aligned,
            "share": round(step.volume.share, 2),
            "back": step.back,
        }
    return data


def _page(data: dict[str, Any]) -> list[str]:
    name = f"_dmarc.{data['domain']}"
    if data["policy"] is None:
        return [f"{name}: nothing is published yet; add this TXT record:", f'  "{data["record"]}"']
    lines = [f"{name}: p={data['policy']} since {data['since']:%Y-%m-%d}"]
    if data["next"] is None:
        return [*lines, "This is the last stage. " + stages.BACK]
    if data["messages"]:
        lines.append(
            f"{data['aligned']:,} of {data['messages']:,} messages of yours were aligned"
            f" ({data['share']:.1f} %)"
        )
    if data["offered"]:
        return [*lines, f"p={data['next']} can come now:", f'  "{data["record"]}"', stages.BACK]
    lines += [f"p={data['next']} is too early:", *(f"  {why}" for why in data["obstacles"])]
    if data["unjudged"]:
        command = f"franking dmarc verdict {data['domain']} '{data['unjudged'][0]}' mine|foreign"
        lines.append(f"To say whose mail it is:  {command}")
    return lines


@dmarc.command("sources")
@click.argument("name", metavar="DOMAIN")
@click.option("--days", type=click.IntRange(1, 400), default=30, show_default=True)
@account_option
@json_option
@click.pass_obj
def list_sources(
    context: Context, name: str, days: int, account_name: str | None, as_json: bool
) -> None:
    """List who has sent in the name of DOMAIN, by receivers' reports, the largest first."""
    with context.session() as session:
        domain = ownership.get(session, the_account(session, account_name), name)
        rows = summary.by_source(session, domain, utcnow() - timedelta(days=days))
    data = [asdict(row) | {"own": row.own, "share": round(row.share, 2)} for row in rows]
    emit(data, as_json, lambda: table(SOURCES, [_cells(row) for row in rows]))


def _cells(row: SourceRow) -> tuple[object, ...]:
    yours = row.verdict or ("yes" if row.own else "unknown")
    return (
        row.source, yours, f"{row.messages:,}", f"{row.share:.1f} %", f"{row.dkim:,}",
        f"{row.spf:,}", row.first_seen_at, row.last_seen_at,
    )  # fmt: skip


@dmarc.command("verdict")
@click.argument("name", metavar="DOMAIN")
@click.argument("source")
@click.argument("verdict", type=click.Choice(["mine", "foreign", "none"]))
@account_option
@json_option
@click.pass_obj
def set_verdict(
    context: Context,
    name: str,
    source: str,
    verdict: str,
    *,
    account_name: str | None,
    as_json: bool,
) -> None:
    """Say whether SOURCE, as `sources` calls it, sends for DOMAIN; none takes it back."""
    said = None if verdict == "none" else verdict
    with context.transaction() as session:
        account = the_account(session, account_name)
        domain = ownership.get(session, account, name)
        store.set_verdict(session, domain, source, said)
        audit.record(
            session, account.id, context.actor, "dmarc.verdict",
            domain=domain.name, source=source, verdict=said,
        )  # fmt: skip
        data = {"domain": domain.name, "source": source, "verdict": said}
    emit(data, as_json, lambda: f"{source} is {said or 'not judged'} for {data['domain']}")


@dmarc.command("days")
@click.argument("name", metavar="DOMAIN")
@click.argument("days", type=int)
@account_option
@json_option
@click.pass_obj
def set_days(
    context: Context, name: str, days: int, account_name: str | None, as_json: bool
) -> None:
    """Set how many days each stage of DOMAIN lasts at least: 15 to 45."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        domain = ownership.get(session, account, name)
        stages.set_days(session, domain, days)
        audit.record(
            session, account.id, context.actor, "dmarc.days", domain=domain.name, days=days
        )
        data = {"domain": domain.name, "days_of_each_stage": days}
    emit(data, as_json, lambda: f"each stage of {data['domain']} lasts {days} days or longer")


@dmarc.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@account_option
@json_option
@click.pass_obj
def import_reports(
    context: Context, files: tuple[Path, ...], account_name: str | None, as_json: bool
) -> None:
    """Take reports from FILES: mails, .gz, .zip or .xml.  What is known already stays as it is."""
    done = [_imported(context, account_name, file) for file in files]
    emit(done, as_json, lambda: "\n".join(f"{each['file']}: {each['result']}" for each in done))
    if any(each["refused"] for each in done):
        raise click.exceptions.Exit(1)


def _imported(context: Context, account_name: str | None, file: Path) -> dict[str, Any]:
    limits = Limits(longest=context.settings.dmarc.longest_report)
    relay = RelayNames.of(context.settings)
    with context.transaction() as session:
        account = the_account(session, account_name)
        try:
            with file.open("rb") as opened:
                report = read_report(opened.read(limits.longest + 1), limits)
            said = _stored(session, account, report, relay)
        except Unreadable as why:
            return {"file": str(file), "refused": True, "result": f"refused: {why}"}
    return {"file": str(file), "refused": False, "result": f"{report.domain}: {said}"}


def _stored(session: Session, account: Account, report: Report, relay: RelayNames) -> str:
    domain = _domain_of(session, account, report)
    own = store.own_of(session, domain, relay)
    if not store.store(session, domain, report, own, utcnow()):
        return "known already"
    newcomers.tell(session, domain, utcnow())
    return f"{report.messages:,} messages from {report.org_name}"


def _domain_of(session: Session, account: Account, report: Report) -> Domain:
    """The closest one; reports about names below a domain are its own, too."""
    for name in and_above(report.domain):
        try:
            return ownership.get(session, account, name)
        except NotFound:
            continue
    raise Unreadable(f"it is about {report.domain}, which is no domain of {account.name}")


@dmarc.command("relay-records")
@json_option
@click.pass_obj
def relay_records(context: Context, as_json: bool) -> None:
    """Print what the operator publishes by hand, so that reports about customers arrive here."""
    own = context.settings
    found = authorisation.relay_records(RelayNames.of(own), own.smtp.host)
    if not found:
        raise click.ClickException("[dmarc] reports is not set: this relay receives no reports")
    data = [asdict(record) for record in found]
    lines = [f"{r.name}.  {r.type}  {_quoted(r)}\n  {r.why}" for r in found]
    emit(data, as_json, lambda: "\n".join(lines))


def _quoted(record: authorisation.RelayRecord) -> str:
    return f'"{record.value}"' if record.type == "TXT" else record.value


def register(group: click.Group) -> None:
    group.add_command(dmarc)
