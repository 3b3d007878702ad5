"""Writes the files of one cut, many accounts' at once, below a directory that nobody else sees.

Text is gathered for each file and appended in compressed pieces of a megabyte: a member of gzip
(RFC 1952 §2.2) or a frame of zstd (RFC 8878 §3) each, and every tool reads several as one.  So no
file stays open, however many accounts there are, and memory has a bound.

Both formats have one event per line.  The JSON is what a webhook has.  A spreadsheet takes some
cells of the CSV for formulas, and much of it was written by others: such a cell gets an apostrophe
(`franking.money.statements.export.safe`), so of the two only the JSON is exact.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import zstandard

from franking.accounting import disk
from franking.accounting.models import FORMATS
from franking.mail.published import FIELDS
from franking.money.statements.export import safe

PIECE = 1 << 20  # characters

Key = tuple[int, str]  # an account's number, and a format


@dataclass(frozen=True)
class Staged:
    """A finished file; `size` in bytes, compressed, as is `sha256`."""

    path: Path
    sha256: str
    size: int
    events: int
    first_event_id: int
    last_event_id: int


@dataclass
class _File:
    path: Path
    first_event_id: int
    last_event_id: int
    events: int = 0
    size: int = 0
    text: io.StringIO = field(default_factory=io.StringIO)
    digest: Any = field(default_factory=hashlib.sha256)


class Spool:
    """Use it as a context: what was not finished is gone at its end."""

    def __init__(self, directory: Path, compression: str) -> None:
        self._directory = directory
        self._compression = compression
        self._prefix = secrets.token_hex(8)
        self._files: dict[Key, _File] = {}

    def __enter__(self) -> Spool:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.path.unlink(missing_ok=True)

    def add(self, account_id: int, event_id: int, document: Mapping[str, Any]) -> None:
        """One event, in the order of reading."""
        for form in FORMATS:
            file = self._file(account_id, form, event_id)
            file.last_event_id = event_id
            file.events += 1
            _WRITE[form](file.text, document)
            if file.text.tell() > PIECE:
                self._append(file)

    def finish(self) -> dict[Key, Staged]:
        """Every file whole on the disk, under its own hash; nothing is cleaned up any more."""
        staged = {}
        for key, file in self._files.items():
            self._append(file)
            file.path.chmod(0o644)
            disk.sync(file.path)
            path = self._directory / str(file.digest.hexdigest())
            file.path.rename(path)
            staged[key] = Staged(
                path, path.name, file.size, file.events, file.first_event_id, file.last_event_id
            )
        disk.sync(self._directory)
        self._files.clear()
        return staged

    def _file(self, account_id: int, form: str, event_id: int) -> _File:
        key = account_id, form
        if key not in self._files:
            path = self._directory / f"{self._prefix}-{account_id}.{form}"
            self._files[key] = file = _File(path, event_id, event_id)
            file.text.write(_HEADERS[form])
        return self._files[key]

    def _append(self, file: _File) -> None:
        piece = _compressed(file.text.getvalue().encode(), self._compression)
        with file.path.open("ab") as output:
            output.write(piece)
        file.size += len(piece)
        file.digest.update(piece)
        file.text = io.StringIO()


def _compressed(data: bytes, compression: str) -> bytes:
    if compression == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    return gzip.compress(data, compresslevel=6, mtime=0)


def _json(text: TextIO, document: Mapping[str, Any]) -> None:
    text.write(_ENCODED(document))
    text.write("\n")


def _csv(text: TextIO, document: Mapping[str, Any]) -> None:
    csv.writer(text, lineterminator="\r\n").writerow([_cell(document[name]) for name in FIELDS])


def _cell(value: object) -> object:
    """Lists and objects as JSON; nothing is an empty cell."""
    if isinstance(value, (list, dict)):
        value = _ENCODED(value) if value else ""
    return safe(value) if isinstance(value, str) else value


_ENCODED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_WRITE: dict[str, Callable[[TextIO, Mapping[str, Any]], None]] = {"jsonl": _json, "csv": _csv}
_HEADERS = {"jsonl": "", "csv": ",".join(FIELDS) + "\r\n"}
