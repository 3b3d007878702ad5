"""What `franking domain` says of a domain: plain values for JSON, and lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from franking.cli.context import table
from franking.domains import life
from franking.domains.found import Shown, statuses
from franking.domains.models import Domain
from franking.domains.records import RelayNames
from franking.settings import Settings


def describe(row: Domain) -> dict[str, Any]:
    return {
        "domain": row.name,
        "status": life.state(row),
        "verified_at": row.verified_at,
        "verified_by": row.verified_by,
        "checked_at": row.checked_at,
        "failing_since": row.failing_since,
        "suspended_at": row.suspended_at,
        "subdomains": row.allow_subdomains,
        "dkim_method": row.dkim_method,
    }


def with_records(session: Session, row: Domain, settings: Settings) -> dict[str, Any]:
    """`obstacle`: why it is not verified although its records are right."""
    shown = statuses(session, row, RelayNames.of(settings))
    right = all(each.status == "verified" for each in shown if each.record.required)
    return {
        **describe(row),
        "obstacle": life.obstacle(session, row) if right else None,
        "records": [_record(each) for each in shown],
    }


def _record(shown: Shown) -> dict[str, Any]:
    record = shown.record
    return {
        **{name: getattr(record, name) for name in ("purpose", "required", "name")},
        "relative_name": record.relative_name,
        **{name: getattr(record, name) for name in ("type", "value", "quoted", "ttl", "why")},
        **{name: getattr(shown, name) for name in ("status", "fault", "found", "advice")},
        "seen_at": shown.seen_at,
        "checked_at": shown.checked_at,
    }


def page(data: dict[str, Any]) -> Iterator[str]:
    yield headline(data)
    for record in data["records"]:
        need = "required" if record["required"] else "advised"
        status = record["status"].replace("_", " ")
        yield f"\n{record['purpose'].replace('_', ' ')} ({need}): {status}"
        yield f"  {record['name']}  {record['type']}  {record['ttl']}"
        yield f"    {record['quoted']}"
        for text in record["found"]:
            yield f"  found {text}"
        if record["advice"]:
            yield f"  {record['advice']}"


def headline(data: dict[str, Any]) -> str:
    by = " (assumed)" if data["verified_by"] == "assumed" else ""
    said = f"{data['domain']}: {data['status']}{by}"
    return f"{said}\n{data['obstacle']}" if data["obstacle"] else said


def result(data: dict[str, Any]) -> Iterator[str]:
    rows = [
        (r["purpose"].replace("_", " "), "required" if r["required"] else "advised", r["type"],
         r["name"], r["status"].replace("_", " "))
        for r in data["records"]
    ]  # fmt: skip
    yield table(("record", "", "type", "name", "status"), rows)
    yield ""
    for record in data["records"]:
        if record["advice"]:
            yield f"{record['name']}: {record['advice']}"
    yield headline(data)
