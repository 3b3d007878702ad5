"""What bench/webhooks.py works with: a database, a worker, a server that takes, customers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
from sqlalchemy import insert, select

from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Base, Database, utcnow
from franking.mail.models import Event
from franking.money import pricing
from franking.sealing import Sealer
from franking.webhooks import endpoints
from franking.webhooks.config import Webhooks

ROOT = Path(__file__).resolve().parent.parent
MASTER_KEY = bytes(range(32))
MASTER_KEY_BASE64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class Site:
    """A database, a server that takes, a customer, and a worker that can be killed."""

    def __init__(self, directory: Path, url: str) -> None:
        self.database = Database(url)
        Base.metadata.create_all(self.database.engine)
        self._journal = directory / "journal"
        self._journal.touch()
        self._settings = directory / "franking.toml"
        self._settings.write_text(
            f'node = "n1"\ndatabase_url = "{url}"\nmaster_key = "{MASTER_KEY_BASE64}"\n'
            "[webhooks]\nports = []\nallow_http = true\nallow_private = true\n"
        )
        self._log = (directory / "worker.log").open("ab")
        self._taker = subprocess.Popen(
            [sys.executable, str(ROOT / "bench/taker.py"), str(self._journal)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._taker.stdout is not None
        self.fast, self.dead = map(int, self._taker.stdout.readline().split())
        self._worker: subprocess.Popen[bytes] | None = None

    def customer(self, name: str) -> int:
        with self.database.transaction() as session:
            plan = pricing.create_plan(session, name, currency="EUR", unit_price=1)
            return accounts.create(session, name, plan=plan).id

    def endpoint(self, account_id: int, port: int, *, batch: int = 1) -> None:
        rules = Webhooks(ports=(), allow_http=True, allow_private=True)
        with self.database.transaction() as session:
            endpoints.create(
                session, session.get_one(Account, account_id), f"http://127.0.0.1:{port}/",
                batch=batch, sealer=Sealer(MASTER_KEY), rules=rules,
            )  # fmt: skip

    def happens(self, account_id: int, count: int) -> tuple[float, int]:
        """When they were committed, and how many."""
        event = {
            "account_id": account_id, "node": "n1", "kind": "rejected", "at": utcnow(),
            "recipient": "anna@example.org", "sender": "shop@example.com", "smtp_code": 550,
            "enhanced_code": "5.7.1", "reply": "no " * 30, "detail": {"reply_key": "x"},
        }  # fmt: skip
        with self.database.transaction() as session:
            session.execute(insert(Event), [event] * count)
        return time.time(), count

    def events(self, account_id: int) -> list[str]:
        with self.database.session() as session:
            query = select(Event.id).where(Event.account_id == account_id)
            return [f"evt_{number}" for number in session.scalars(query)]

    def arrived(self) -> list[tuple[float, str]]:
        lines = self._journal.read_text().splitlines()
        return [(float(at), name) for at, name, _ in map(str.split, lines)]

    def start(self) -> None:
        self._worker = subprocess.Popen(
            [str(Path(sys.executable).parent / "franking-worker"), "webhooks"],
            env={**os.environ, "FRANKING_SETTINGS": str(self._settings)}, stderr=self._log,
        )  # fmt: skip

    def kill(self) -> None:
        assert self._worker is not None
        self._worker.kill()
        self._worker.wait()

    def worker_cpu(self) -> float:
        """Seconds of a processor since its start."""
        assert self._worker is not None
        times = psutil.Process(self._worker.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        for process in (self._worker, self._taker):
            if process is not None:
                process.kill()
                process.wait()
        assert self._taker.stdout is not None
        self._taker.stdout.close()
        self._log.close()
        self.database.close()
