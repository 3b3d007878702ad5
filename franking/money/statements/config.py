"""The section `[invoices]` of the settings: who issues them, how they are numbered and taxed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

DEJAVU = Path("/usr/share/fonts/truetype/dejavu")
ASIAN = (  # Chinese and Japanese; Korean
    Path("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"),
    Path("/usr/share/fonts/truetype/nanum/NanumGothic.ttf"),
)


class Invoices(BaseModel):
    """No invoice is issued while `issuer_name` is empty.  The same on all nodes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer_name: str = Field("", description="who issues invoices; without it none are issued")
    issuer_address: str = Field("", description="several lines")
    issuer_tax_id: str = Field("", description="printed beneath the address")
    number_format: str = Field(
        "FR-{year}-{number:06d}",
        description="of {year} and {month} of issue and {number}, which never starts again",
    )
    first_number: int = Field(1, ge=1, description="of the very first invoice")
    tax_label: str = "VAT"
    tax_percent: Decimal = Field(
        Decimal(0), ge=0, le=100, max_digits=6, description="0: no line about tax"
    )
    prices_include_tax: bool = Field(
        True, description="no: tax is added to what was taken from the balance, and is due"
    )
    note: str = Field("", description="text beneath the totals")
    footer: str = Field("", description="at the foot of each page; several lines")
    font: Path = DEJAVU / "DejaVuSans.ttf"
    font_bold: Path = DEJAVU / "DejaVuSans-Bold.ttf"
    fallback_fonts: tuple[Path, ...] = Field(
        ASIAN,
        description="for characters that `font` does not have; missing files are passed over",
    )

    def number_text(self, number: int, issued_on: date) -> str:
        """`FR-2026-000012`"""
        return self.number_format.format(
            number=number, year=issued_on.year, month=f"{issued_on.month:02d}"
        )

    @field_validator("number_format")
    @classmethod
    def _tells_numbers_apart(cls, text: str) -> str:
        try:
            made = {text.format(number=n, year=2026, month="10") for n in (1, 2)}
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            raise ValueError(f"{text!r} is no format such as FR-{{year}}-{{number:06d}}") from error
        if len(made) < 2 or max(map(len, made)) > 40:
            raise ValueError(f"{text!r} must have {{number}}, and make 40 characters at most")
        return text
