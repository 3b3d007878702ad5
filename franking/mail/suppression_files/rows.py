"""A file of any shape as rows with named columns.

CSV with a comma, a semicolon or a tab between its cells, in UTF-8 or what a byte order mark says,
is read line by line, so it may be of any length.  JSON (an array, an object with one in it, or an
object per line: what the services' APIs and command-line tools print) is read as a whole.

Columns are known by their letters and digits: `EmailAddress`, `email_address` and `Email address`
are one.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

from franking.reasons import Invalid

LONGEST_JSON = 16 << 20  # bytes
LONGEST_HEADER = 10_000  # characters
LONGEST_CELL = 2000  # characters that are kept; a bounce's reason may be a whole reply
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SES_REASONS = {"BOUNCE", "COMPLAINT"}


@dataclass(frozen=True)
class Row:
    """`number`: of its line, or of its object, from 1.  `fault`: why it could not be read."""

    number: int
    cells: Mapping[str, str]
    fault: str | None = None


@dataclass(frozen=True)
class Table:
    columns: frozenset[str]
    rows: Iterator[Row]


@contextmanager
def opened(stream: BinaryIO) -> Iterator[Table]:
    """Its rows are read while they are asked for; the stream stays open after it.

    Raises Invalid when it is nothing of the kind.
    """
    buffered = io.BufferedReader(stream)  # type: ignore[type-var, unused-ignore]
    head = buffered.peek(64)[:64]
    encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")
    # What is no UTF-8 shows as such in an address, and does no harm in a remark.
    text = io.TextIOWrapper(buffered, encoding, errors="replace", newline="")
    try:
        is_json = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"[", b"{")
        yield _json(buffered.read(LONGEST_JSON + 1)) if is_json else _csv(text)
    finally:
        text.detach()
        buffered.detach()  # or both would close what is not theirs


def _csv(text: io.TextIOWrapper) -> Table:
    first = ""
    while not first.strip():
        first = text.readline(LONGEST_HEADER)
        if not first:
            raise Invalid("the file is empty")
    if len(first) == LONGEST_HEADER:
        raise Invalid("the first line is too long for the names of columns")
    delimiter = max(",;\t", key=first.count)
    names = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True))
    named = "@" not in first  # else it is the first entry
    reader = csv.reader(
        text if named else chain([first], text), delimiter=delimiter, skipinitialspace=True
    )
    columns = _columns(names) if named else _unnamed(names)
    return Table(frozenset(columns), _rows(reader, columns, 1 if named else 0))


def _columns(names: Sequence[str]) -> list[str]:
    return ["".join(filter(str.isalnum, name.lower())) for name in names]


def _unnamed(cells: Sequence[str]) -> list[str]:
    """Addresses, or what Amazon SES takes for its imports: an address and a reason."""
    if "@" not in cells[0]:
        raise Invalid("the first line names no columns, and does not begin with an address")
    if len(cells) > 1 and cells[1].strip().upper() in SES_REASONS:
        return ["emailaddress", "reason"]
    return ["address"]


def _rows(reader: Any, columns: Sequence[str], lines_before: int) -> Iterator[Row]:
    while True:
        number = lines_before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(number, {}, f"it cannot be read: {error}")
            continue
        if any(cell.strip() for cell in cells):
            kept = (cell.strip()[:LONGEST_CELL] for cell in cells)
            yield Row(number, dict(zip(columns, kept, strict=False)))


def _json(data: bytes) -> Table:
    if len(data) > LONGEST_JSON:
        raise Invalid(f"JSON of more than {LONGEST_JSON >> 20} MiB is not read; make it CSV")
    try:
        found = _objects(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Invalid("the file looks like JSON, but is none") from error
    first = next((each for each in found if isinstance(each, dict)), None)
    if first is None:
        raise Invalid("there are no entries in the file")
    return Table(frozenset(_columns(list(first))), _from_objects(found))


def _objects(text: str) -> list[Any]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(whole, dict):
        lists = [value for value in whole.values() if isinstance(value, list)]
        return lists[0] if lists else [whole]
    return whole if isinstance(whole, list) else []


def _from_objects(found: Sequence[Any]) -> Iterator[Row]:
    for number, each in enumerate(found, start=1):
        if not isinstance(each, dict):
            yield Row(number, {}, "it is no object")
            continue
        values = map(_cell, each.values())
        yield Row(number, dict(zip(_columns(list(each)), values, strict=True)))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    parts = value if isinstance(value, list) else [value]
    return ", ".join(map(str, parts)).strip()[:LONGEST_CELL]
