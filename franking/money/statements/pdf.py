"""Prints an invoice: A4, one page or more, the same bytes each time.

Fonts are embedded, only the characters that are used.  A character that the first font does not
have comes from a fallback font; those are read only then, because they are large.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, time

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace, TTFFont

from franking.money.amounts import MICRO, format_amount
from franking.money.statements.config import Invoices
from franking.money.statements.document import Document, Line, Party
from franking.money.statements.rounding import digits, payable
from franking.reasons import Invalid

MARGIN = 20.0  # millimetres
TEXT, SMALL, LARGE = 9.5, 8.0, 18.0  # points
LINE = 4.8  # millimetres
GREY, BLACK, RULE = 100, 0, 180
COLUMNS = (90, 26, 26, 28)  # millimetres; together the width between the margins

logging.getLogger("fontTools").setLevel(logging.ERROR)  # it tells how it makes subsets


def render(document: Document, settings: Invoices) -> bytes:
    """The PDF file; the settings say only which fonts.  Raises Invalid when one is not there."""
    for font in (settings.font, settings.font_bold):
        if not font.is_file():
            raise Invalid(
                f"there is no font {font}: install fonts-dejavu-core, or set invoices.font"
            )
    sheet = _Sheet(document, settings)
    sheet.add_page()
    _parties(sheet, document)
    _facts(sheet, document)
    _lines(sheet, document)
    _totals(sheet, document)
    if document.note:
        sheet.ln(LINE)
        _write(sheet, document.note, sheet.epw)
    return bytes(sheet.output())


class _Sheet(FPDF):
    def __init__(self, document: Document, settings: Invoices) -> None:
        super().__init__(orientation="portrait", unit="mm", format="A4")
        self._document = document
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self._footer_lines = document.footer.split("\n") if document.footer else []
        self.set_auto_page_break(auto=True, margin=MARGIN + LINE * len(self._footer_lines))
        self.set_title(f"{document.title} {document.number}")
        self.set_author(document.issuer.name)
        self.set_lang("en")
        self.set_creation_date(datetime.combine(document.issued_on, time(), UTC))
        self.add_font("text", fname=settings.font)
        self.add_font("text", style="B", fname=settings.font_bold)
        self._fall_back(document, settings)
        self.set_font("text", size=TEXT)
        self.alias_nb_pages()

    def _fall_back(self, document: Document, settings: Invoices) -> None:
        first = self.fonts["text"]
        known = first.cmap if isinstance(first, TTFFont) else {}
        if all(ord(char) in known for char in document.model_dump_json() if char.isprintable()):
            return
        names = []
        for number, path in enumerate(settings.fallback_fonts):
            if path.is_file():
                names.append(f"fallback{number}")
                self.add_font(names[-1], fname=path)
        if names:
            self.set_fallback_fonts(names, exact_match=False)

    def header(self) -> None:
        if self.page_no() > 1:
            self.set_font("text", size=SMALL)
            self.set_text_color(GREY)
            self.cell(0, LINE, f"{self._document.title} {self._document.number}", align="R")
            self.set_text_color(BLACK)
            self.ln(LINE * 2)

    def footer(self) -> None:
        self.set_y(-MARGIN / 2 - LINE * (len(self._footer_lines) + 1))
        self.set_font("text", size=SMALL)
        self.set_text_color(GREY)
        for line in self._footer_lines:
            self.cell(0, LINE * 0.8, line, align="C", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.cell(0, LINE * 0.8, f"Page {self.page_no()} of {{nb}}", align="C")
        self.set_text_color(BLACK)


def _write(sheet: _Sheet, text: str, width: float, *, bold: bool = False) -> None:
    sheet.set_font("text", style="B" if bold else "", size=TEXT)
    sheet.multi_cell(width, LINE, text, align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)


def _parties(sheet: _Sheet, document: Document) -> None:
    """The issuer at the top right, the customer beneath at the left, as in a window envelope."""
    half = sheet.epw / 2
    sheet.set_x(MARGIN + half)
    _party(sheet, document.issuer, half, "Tax ID")
    sheet.set_xy(MARGIN, max(sheet.get_y() + LINE, 50))
    _party(sheet, document.customer, half, "Your tax ID")
    sheet.set_xy(MARGIN, max(sheet.get_y() + LINE * 2, 85))


def _party(sheet: _Sheet, party: Party, width: float, label: str) -> None:
    _write(sheet, party.name, width, bold=True)
    if party.address:
        _write(sheet, party.address, width)
    if party.tax_id:
        _write(sheet, f"{label}: {party.tax_id}", width)


def _facts(sheet: _Sheet, document: Document) -> None:
    sheet.set_font("text", style="B", size=LARGE)
    sheet.cell(0, 10, document.title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.ln(2)
    for label, value in (
        ("Number", document.number),
        ("Date of issue", _day(document.issued_on)),
        ("Period of service", f"{_day(document.period)} to {_day(document.last_day)} (UTC)"),
        ("Account", document.account),
    ):
        sheet.set_font("text", size=TEXT)
        sheet.set_text_color(GREY)
        sheet.cell(40, LINE * 1.1, label)
        sheet.set_text_color(BLACK)
        sheet.cell(0, LINE * 1.1, value, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.ln(LINE)


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _lines(sheet: _Sheet, document: Document) -> None:
    sheet.set_draw_color(RULE)
    with sheet.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=COLUMNS,
        width=sum(COLUMNS),
        headings_style=FontFace(emphasis="BOLD"),
        line_height=LINE * 1.4,
        text_align=("LEFT", "RIGHT", "RIGHT", "RIGHT"),
        padding=(0.4, 1),
    ) as table:
        table.row(("Description", "Quantity", "Unit price", f"Amount {document.currency}"))
        for line in document.lines:
            table.row(_cells(line))
    sheet.ln(LINE)


def _cells(line: Line) -> tuple[str, str, str, str]:
    quantity = "" if line.quantity is None else f"{line.quantity:,}"
    price = "" if line.unit_price is None else _exact(line.unit_price)
    return line.description, quantity, price, _exact(line.amount)


def _totals(sheet: _Sheet, document: Document) -> None:
    rows = list(_sums(document))
    if sheet.will_page_break(LINE * 1.3 * (len(rows) + 1)):
        sheet.add_page()
    left, right = MARGIN + COLUMNS[0] - 20, MARGIN + sum(COLUMNS)
    for label, value, bold in rows:
        if bold:
            sheet.ln(1)
            sheet.line(left, sheet.get_y(), right, sheet.get_y())
        sheet.set_font("text", style="B" if bold else "", size=TEXT)
        sheet.set_x(left)
        sheet.cell(right - left - COLUMNS[3], LINE * 1.3, label)
        sheet.cell(COLUMNS[3], LINE * 1.3, value, align="R")
        sheet.ln(LINE * 1.3)


def _sums(document: Document) -> Iterator[tuple[str, str, bool]]:
    """(label, amount, bold), from the exact sum to what is due."""
    currency = document.currency

    def money(amount: int) -> str:
        return payable(amount, currency)

    smallest = money(MICRO // 10 ** digits(currency))
    included = bool(document.tax_percent) and document.prices_include_tax
    if document.rounding or included:
        label = f"Sum, {document.tax_label} included" if included else "Sum"
        yield label, _exact(document.sum), False
    if document.rounding:
        yield f"Rounding to {smallest} {currency}", _exact(document.rounding), False
    if document.tax_percent:
        percent = f"{document.tax_percent.normalize():f}"
        yield f"Net amount {currency}", money(document.net), False
        yield f"{document.tax_label} {percent} %", money(document.tax), False
    yield f"Total {currency}", money(document.total), True
    word = "Credited to the prepaid balance" if document.sum < 0 else "Paid from prepaid balance"
    yield word, money(-document.paid), False
    yield f"Amount due {currency}", money(document.due), True


def _exact(micros: int) -> str:
    """All decimals that are not zero, at least two."""
    return format_amount(micros, "").strip()
