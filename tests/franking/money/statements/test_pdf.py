"""The printed invoice, read by a program that is not ours: poppler's pdftotext."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from franking.money.statements.config import Invoices
from franking.money.statements.document import Document, Line, Party, taxed
from franking.money.statements.pdf import render

SETTINGS = Invoices(issuer_name="Posthaste GmbH", tax_percent=Decimal("8.1"))
LINES = (
    Line(description="Messages, tier 1", quantity=10_000, unit_price=1_000, amount=10_000_000),
    Line(description="Messages, tier 2", quantity=123_457, unit_price=800, amount=98_765_600),
    Line(description="Monthly fee 2026-10", quantity=None, unit_price=None, amount=5_000_000),
    Line(description="Refunds", quantity=None, unit_price=None, amount=-12_800),
)


def document(
    name: str = "Acme",
    address: str = "Street 1",
    lines: tuple[Line, ...] = LINES,
    settings: Invoices = SETTINGS,
) -> Document:
    exact = sum(line.amount for line in lines)
    amounts = taxed(exact, settings, "EUR")
    return Document(
        number="FR-2026-000012",
        issued_on=date(2026, 11, 1),
        period=date(2026, 10, 1),
        last_day=date(2026, 10, 31),
        account="acme-shop",
        currency="EUR",
        issuer=Party(name="Posthaste GmbH", address="Kai 1\n20457 Hamburg", tax_id="DE1"),
        customer=Party(name=name, address=address, tax_id="GR987654321"),
        lines=lines,
        sum=exact,
        rounding=amounts.rounding,
        net=amounts.net,
        tax_label="VAT",
        tax_percent=settings.tax_percent,
        tax=amounts.tax,
        total=amounts.total,
        prices_include_tax=settings.prices_include_tax,
        paid=amounts.paid,
        due=amounts.total - amounts.paid,
        note="Thank you.",
        footer="Amtsgericht Hamburg HRB 12345\nIBAN DE02 1203",
    )


def read(printed: bytes, directory: Path) -> str:
    """All text in its place; spaces between words count as one."""
    path = directory / "invoice.pdf"
    path.write_bytes(printed)
    command = ["pdftotext", "-layout", str(path), "-"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    assert done.stderr == b""
    return re.sub(r" +", " ", done.stdout.decode())


def test_everything_is_on_it(tmp_path: Path) -> None:
    found = read(render(document(), SETTINGS), tmp_path)
    for line in (
        "Posthaste GmbH", "20457 Hamburg", "Tax ID: DE1", "Acme", "Your tax ID: GR987654321",
        "Number FR-2026-000012", "Date of issue 1 November 2026",
        "Period of service 1 October 2026 to 31 October 2026 (UTC)", "Account acme-shop",
        "Description Quantity Unit price Amount EUR",
        "Messages, tier 2 123,457 0.0008 98.7656", "Monthly fee 2026-10 5.00", "Refunds -0.0128",
        "Sum, VAT included 113.7528", "Rounding to 0.01 EUR -0.0028", "Net amount EUR 105.23",
        "VAT 8.1 % 8.52", "Total EUR 113.75", "Paid from prepaid balance -113.75",
        "Amount due EUR 0.00", "Thank you.", "IBAN DE02 1203", "Page 1 of 1",
    ):  # fmt: skip
        assert line in found


def test_tax_on_top(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"prices_include_tax": False})
    found = read(render(document(settings=settings), settings), tmp_path)
    for line in ("Sum 113.7528", "Net amount EUR 113.75", "VAT 8.1 % 9.21", "Total EUR 122.96"):
        assert line in found
    assert "Amount due EUR 9.21" in found


def test_no_tax_no_rounding(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"tax_percent": Decimal(0)})
    found = read(render(document(lines=LINES[:1], settings=settings), settings), tmp_path)
    assert "Total EUR 10.00" in found
    assert not re.search("VAT|Net|Rounding|Sum", found)


def test_a_credit_note(tmp_path: Path) -> None:
    found = read(render(document(lines=LINES[3:]), SETTINGS), tmp_path)
    assert "Credit note" in found and "Credited to the prepaid balance 0.01" in found


@pytest.mark.parametrize(
    "name",
    [
        "Παπαδόπουλος & Σία",
        "Żółć, Łódź",
        "ООО «Почта» — Їжак",
        "Çağrı Şirketi",
        "株式会社サンプル",
        "深圳公司",
        'Großmann\'s "Œuvre" <b>&amp;</b>',
    ],
)
def test_any_name_prints(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read(render(document(name, f"{name}\nStreet 1"), SETTINGS), tmp_path)
    assert len(re.findall(re.escape(name), found)) == 2
    assert "missing" not in caplog.text


def test_several_pages(tmp_path: Path) -> None:
    found = read(render(document(lines=LINES * 20), SETTINGS), tmp_path)
    pages = found.split("\f")[:-1]
    assert len(pages) > 2
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        assert ("Description Quantity" in page) == ("Refunds -0.0128" in page)
    assert pages[1].strip().startswith("Invoice FR-2026-000012")
    assert sum(page.count("Messages, tier 2") for page in pages) == 20


def test_a_later_print_is_the_same() -> None:
    kept = document("Σία").model_dump_json()
    settings = Invoices(issuer_name="Somebody else", tax_percent=Decimal(50))
    again = render(Document.model_validate_json(kept), settings)
    assert again == render(document("Σία"), SETTINGS)
    assert again.startswith(b"%PDF-")
