"""DMARC aggregate reports as receivers mail them, made to measure."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

CORPUS = Path(__file__).parent / "data/dmarc"
DAY = datetime(2026, 11, 4, tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """Messages of one record; `dkim`, `spf`: what was found, `domain/selector` and `domain`."""

    count: int = 1
    ip: str = "192.0.2.25"
    dkim: str = ""
    spf: str = ""
    aligned: str = ""  # "dkim", "spf", "dkim spf"


RELAYED = Sent(100, dkim="example.com/s2026q4", spf="bounce.example.com", aligned="dkim spf")


def xml(
    rows: Sequence[Sent] = (RELAYED,),
    *,
    domain: str = "example.com",
    org: str = "receiver.example",
    report_id: str = "1",
    begin: datetime = DAY,
    prolog: str = '<?xml version="1.0"?>',
) -> bytes:
    end = begin + timedelta(days=1) - timedelta(seconds=1)
    return (
        f"{prolog}<feedback><report_metadata><org_name>{org}</org_name>"
        f"<report_id>{report_id}</report_id><date_range><begin>{int(begin.timestamp())}</begin>"
        f"<end>{int(end.timestamp())}</end></date_range></report_metadata>"
        f"<policy_published><domain>{domain}</domain><p>none</p></policy_published>"
        + "".join(_record(row, domain) for row in rows)
        + "</feedback>"
    ).encode()


def _record(row: Sent, domain: str) -> str:
    signer, _, selector = row.dkim.partition("/")
    dkim = (
        f"<dkim><domain>{signer}</domain><selector>{selector}</selector>"
        "<result>pass</result></dkim>"
    )
    spf = f"<spf><domain>{row.spf}</domain><result>pass</result></spf>"
    verdict = {kind: "pass" if kind in row.aligned else "fail" for kind in ("dkim", "spf")}
    return (
        f"<record><row><source_ip>{row.ip}</source_ip><count>{row.count}</count>"
        f"<policy_evaluated><disposition>none</disposition><dkim>{verdict['dkim']}</dkim>"
        f"<spf>{verdict['spf']}</spf></policy_evaluated></row>"
        f"<identifiers><header_from>{domain}</header_from></identifiers>"
        f"<auth_results>{dkim if row.dkim else ''}{spf if row.spf else ''}</auth_results></record>"
    )


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return packed.getvalue()


def mailed(
    content: bytes | None = None,
    *,
    kind: str = "application/gzip",
    name: str = "receiver.example!example.com!1!2.xml.gz",
    to: str = "token@reports.example",
) -> bytes:
    """A message with one attachment; by default a report, compressed with gzip."""
    message = EmailMessage()
    message["From"] = "noreply-dmarc@receiver.example"
    message["To"] = to
    message["Subject"] = "Report Domain: example.com Submitter: receiver.example Report-ID: 1"
    message.set_content("This is a DMARC aggregate report.\n")
    main, _, sub = kind.partition("/")
    attached = gzip.compress(xml()) if content is None else content
    message.add_attachment(attached, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()
