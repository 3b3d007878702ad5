"""Two accounts whose events go into files, and a cutter that writes them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from franking.accounting.config import Accounting
from franking.accounting.cutting import Cutter
from franking.accounting.models import AccountingFile
from franking.db import Database
from tests import factories

NINE = datetime(2099, 1, 5, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACCOUNTS = ("acme", "other")


@dataclass
class Log:
    """The accounting log of a database, and what is in it."""

    database: Database
    rules: Accounting
    directory: Path
    usernames: dict[str, str]
    domains: dict[str, int]
    messages: int = 0

    @property
    def cutter(self) -> Cutter:
        return Cutter(self.database, self.rules, self.directory)

    def message(self, account: str = "acme", *, subject: str = "Hello", recipients: int = 1) -> str:
        self.messages += 1
        queue_id = f"4bCdEf{self.messages:04d}zXyW"
        with self.database.transaction() as session:
            return factories.message(
                session, self.usernames[account], self.domains[account], queue_id, NINE,
                recipients=[f"r{number}@example.org" for number in range(recipients)],
                subject=subject,
            )  # fmt: skip

    def round(self, now: datetime = NINE + HOUR) -> int:
        return self.cutter.round(now, now)

    def files(self, account: str = "acme", form: str = "jsonl") -> list[Path]:
        return sorted((self.directory / account).glob(f"events-*.{form}.*"))

    def events(self, account: str = "acme") -> list[dict[str, Any]]:
        """Of all files, in their order."""
        texts = [text(path) for path in self.files(account)]
        return [json.loads(line) for each in texts for line in each.split("\n")[:-1]]

    def rows(self, account: str = "acme") -> list[dict[str, str]]:
        texts = [text(path) for path in self.files(account, "csv")]
        return [row for each in texts for row in csv.DictReader(io.StringIO(each, newline=""))]

    def manifest(self, account: str = "acme") -> list[dict[str, Any]]:
        path = self.directory / account / "manifest.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def recorded(self) -> list[AccountingFile]:
        with self.database.session() as session:
            return session.query(AccountingFile).order_by(AccountingFile.id).all()


def text(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data).decode()
    reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
    return reader.read().decode()


def log_of(database: Database, directory: Path, **rules: Any) -> Log:
    usernames, domains = {}, {}
    with database.transaction() as session:
        for name in ACCOUNTS:
            account = factories.funded(session, name)
            usernames[name] = factories.credential(session, account).credential.username
            domains[name] = factories.verified_domain(session, account, f"{name}.example").id
    return Log(database, Accounting(directory=directory, **rules), directory, usernames, domains)


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Log:
    return log_of(database, tmp_path / "accounting")
