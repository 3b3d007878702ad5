"""`franking dmarc`, on an instance of its own."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from franking.db import Database, utcnow
from franking.domains.dmarc import stages
from franking.domains.models import Domain
from tests.command_line import Cli
from tests.reports import Sent, mailed, xml, zipped

GOOGLE = Sent(4, "209.85.220.41", dkim="x.gappssmtp.com/1")


@pytest.fixture
def domain(ready: Cli) -> Cli:
    with ready.settings.open("a") as file:
        file.write('[dmarc]\nreports = "reports.relay.example"\n')
    ready.ok("domain", "add", "example.com")
    return ready


def report(tmp_path: Path, name: str, content: bytes) -> str:
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def test_reports_by_hand(domain: Cli, tmp_path: Path) -> None:
    first = report(tmp_path, "a.xml", xml([Sent(10), GOOGLE]))
    second = report(tmp_path, "b.eml", mailed(gzip.compress(xml([GOOGLE], report_id="2"))))
    third = report(tmp_path, "c.zip", zipped(("r.xml", xml(report_id="3", domain="a.example.com"))))
    done = domain.ok("dmarc", "import", first, second, third, first)
    assert [each["result"] for each in done] == [
        "example.com: 14 messages from receiver.example",
        "example.com: 4 messages from receiver.example",
        "a.example.com: 100 messages from receiver.example",
        "example.com: known already",
    ]
    rows = domain.ok("dmarc", "sources", "example.com", "--days", "400")
    assert [(row["source"], row["messages"], row["own"]) for row in rows] == [
        ("this relay", 100, True),
        ("unknown 192.0.2.0/24", 10, False),
        ("Google Workspace", 8, True),
    ]
    assert "Google Workspace" in domain.text("dmarc", "sources", "example.com", "--days", "400")


def test_what_cannot_be_used_is_said(domain: Cli, tmp_path: Path) -> None:
    good = report(tmp_path, "good.xml", xml())
    foreign = report(tmp_path, "foreign.xml", xml(domain="example.org"))
    broken = report(tmp_path, "broken.gz", b"\x1f\x8b nonsense")
    said = domain.refused("dmarc", "import", foreign, broken, good)
    assert "example.org, which is no domain of acme" in said
    assert "gzip is broken" in said
    assert "100 messages" in said


def test_verdicts_and_days(domain: Cli, tmp_path: Path) -> None:
    domain.ok("dmarc", "import", report(tmp_path, "a.xml", xml([GOOGLE])))
    domain.ok("dmarc", "verdict", "example.com", "Google Workspace", "foreign")
    [row] = domain.ok("dmarc", "sources", "example.com", "--days", "400")
    assert (row["verdict"], row["own"]) == ("foreign", False)
    domain.ok("dmarc", "verdict", "example.com", "Google Workspace", "none")
    [row] = domain.ok("dmarc", "sources", "example.com", "--days", "400")
    assert (row["verdict"], row["own"]) == (None, True)
    assert "has named" in domain.refused("dmarc", "verdict", "example.com", "Brevo", "mine")
    assert domain.ok("dmarc", "days", "example.com", "45")["days_of_each_stage"] == 45
    assert "15 to 45 days" in domain.refused("dmarc", "days", "example.com", "5")
    assert "no domain" in domain.refused("dmarc", "status", "example.net")


def test_status_asks_whose_a_large_network_is(domain: Cli, tmp_path: Path) -> None:
    now = utcnow()
    database = Database(f"sqlite:///{tmp_path}/f.db")
    with database.transaction() as session:
        found = session.scalars(select(Domain)).one()
        stages.observe(session, found, "v=DMARC1; p=none", now - timedelta(days=9))
    database.close()
    sent = xml([Sent(70)], begin=now.replace(microsecond=0) - timedelta(days=2))
    domain.ok("dmarc", "import", report(tmp_path, "a.xml", sent))
    question = "70 messages came from unknown 192.0.2.0/24, and 70 of them failed"
    data = domain.ok("dmarc", "status", "example.com")
    assert data["unjudged"] == ["unknown 192.0.2.0/24"]
    assert data["obstacles"][-1].startswith(question)
    text = domain.text("dmarc", "status", "example.com")
    assert question in text
    assert "franking dmarc verdict example.com 'unknown 192.0.2.0/24' mine|foreign" in text
    domain.ok("dmarc", "verdict", "example.com", "unknown 192.0.2.0/24", "foreign")
    assert domain.ok("dmarc", "status", "example.com")["unjudged"] == []


def test_status_has_the_record_to_publish(domain: Cli) -> None:
    data = domain.ok("dmarc", "status", "example.com")
    assert (data["policy"], data["next"], data["offered"]) == (None, "none", True)
    assert data["record"].startswith("v=DMARC1; p=none; rua=mailto:")
    assert data["record"] in domain.text("dmarc", "status", "example.com")


def test_the_operator_s_own_records(domain: Cli, ready: Cli) -> None:
    records = domain.ok("dmarc", "relay-records")
    assert [record["type"] for record in records] == ["MX", "TXT"]
    text = domain.text("dmarc", "relay-records")
    assert '*._report._dmarc.reports.relay.example.  TXT  "v=DMARC1"' in text


def test_without_a_domain_for_reports(ready: Cli) -> None:
    assert "receives no reports" in ready.refused("dmarc", "relay-records")
