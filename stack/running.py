"""A running stack in the hands of a test or a benchmark.

It is `python -m stack` in a directory of its own with free ports, started and stopped as a person
would; everything else here is looking (deliveries, logs, pids, the database) and breaking
(kill, database outage).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import psutil
from sqlalchemy import create_engine, text

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.accounts.rules import Rules, stored
from franking.db import Database
from franking.domains import ownership
from franking.money import ledger, pricing
from franking.money.pricing import Tier
from franking.money.terms import Terms
from franking.settings import Settings, load
from stack import StackError, demo, supervisor
from stack.cluster import Cluster
from stack.delivery import Delivery
from stack.instance import Instance
from stack.ports import Ports
from stack.settings_file import merged, toml, write_private

T = TypeVar("T")
START = 90.0  # seconds
LOOK = 0.02  # seconds between two looks
# Nobody else's servers are asked by a test; port 9 discards.
SEALED = {"dns": {"resolvers": ["127.0.0.1@9"], "authoritative_port": 9}}


@dataclass(frozen=True)
class Sender:
    """Somebody who can send: an account with money, a verified domain and a credential."""

    account: str
    account_id: int
    domain: str
    username: str
    secret: str

    @property
    def address(self) -> str:
        return f"hello@{self.domain}"


class RunningStack:
    """Use `with RunningStack.started(directory) as stack:`."""

    def __init__(self, instance: Instance, cluster: Cluster | None) -> None:
        self.instance = instance
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None
        self._deliveries: list[Delivery] = []
        self._journal_read = 0  # octets

    @classmethod
    @contextmanager
    def started(
        cls,
        directory: Path,
        engine: str = "sqlite",
        settings: Mapping[str, Any] | None = None,
        beside: RunningStack | None = None,
    ) -> Iterator[RunningStack]:
        """`engine` is sqlite or postgresql; the directory must be traversable for everybody.

        `settings` are those that differ from a stack's own, in the shape of the settings file:
        `{"listeners": {"alternate": {"enabled": False}}}`.  With `beside`, it is a further node of
        that one, with the same database and keys; give it a name: `{"node": "second"}`.
        """
        cluster = None
        if beside is None and engine == "postgresql":
            cluster = Cluster.create(directory / "postgresql")
        shared = beside.database_url if beside else None
        url = cluster.url if cluster else shared
        stack = cls(Instance.at(directory / "var", Ports.free(), url), cluster)
        write_private(stack.instance.local_settings_file, toml(merged(SEALED, settings or {})))
        if beside is not None:
            write_private(stack.instance.secrets_file, beside.instance.secrets_file.read_text())
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
            stack.forget()
            if cluster is not None:
                cluster.stop("immediate")

    # --- starting and stopping -------------------------------------------------------------

    def command(self) -> list[str]:
        ports = asdict(self.instance.ports)
        options = [f"--port-{name}={number}" for name, number in ports.items()]
        place = [f"--directory={self.instance.root}", f"--database-url={self.database_url}"]
        return [sys.executable, "-P", "-m", "stack", *place, *options]

    def start(self) -> None:
        """Returns when the stack says that it is up."""
        output = self.instance.root / "up.log"
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        self.until(lambda: self.instance.demo_file.exists() or self._ended(), START)
        if self._ended():
            raise StackError(f"the stack did not start:\n{output.read_text()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(60)

    def forget(self) -> None:
        """Close the test's own connections; what is collected open at exit is a ResourceWarning."""
        if (database := self.__dict__.pop("database", None)) is not None:
            database.close()

    @property
    def pid(self) -> int:
        """Of `python -m stack` itself; all else descends from it."""
        assert self._process is not None
        return self._process.pid

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    # --- what it offers --------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        """demo.json."""
        return dict(json.loads(self.instance.demo_file.read_text()))

    @property
    def ports(self) -> Ports:
        return self.instance.ports

    @property
    def database_url(self) -> str:
        return self.instance.database_url

    @cached_property
    def settings(self) -> Settings:
        return load(self.instance.settings_file)

    @cached_property
    def database(self) -> Database:
        return Database(self.database_url)

    def cli(self, *arguments: str) -> Any:
        """What `franking … --json` prints; raises CalledProcessError when it fails."""
        done = subprocess.run(
            [str(self.instance.cli), *arguments, "--json"], capture_output=True, check=True
        )
        return json.loads(done.stdout)

    def sender(
        self,
        name: str,
        *,
        balance: int = 1_000_000_000,
        rules: Rules | None = None,
        terms: Terms | None = None,
        tiers: Sequence[Tier] = (Tier(0, demo.UNIT_PRICE),),
        mode: str = "live",
    ) -> Sender:
        """A new account `name` with a balance in micro-units and the domain `<name>.test`.

        With `rules` or `terms`, it is on a plan of its own.
        """
        with self.database.transaction() as session:
            plan = pricing.plan_named(session, demo.PLAN)
            if rules is not None or terms is not None:
                plan = pricing.create_plan(
                    session, name, currency=demo.CURRENCY, tiers=tiers, terms=terms
                )
                plan.rules = stored(rules or Rules())
            account = accounts.create(session, name, plan=plan)
            if balance:
                ledger.deposit(session, account.id, balance, reference=f"test-{name}")
            domain = ownership.add(
                session, account, f"{name}.test", master_key=self.settings.master_key_bytes()
            )
            ownership.mark_verified(session, domain, by="assumed")
            made = credentials.create(
                session, account, name, prefix=self.settings.brand.prefix, mode=mode
            )
            return Sender(name, account.id, domain.name, made.credential.username, made.secret)

    # --- looking ---------------------------------------------------------------------------

    def until(self, condition: Callable[[], T | None], patience: float = 30.0) -> T:
        """The first true value of `condition`; raises TimeoutError."""
        deadline = time.monotonic() + patience
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {patience} s")
            time.sleep(LOOK)
        return value

    def deliveries(self) -> list[Delivery]:
        """All of them, in the order in which the sink got them; reads only what is new."""
        with self.instance.sink_journal.open("rb") as journal:
            journal.seek(self._journal_read)
            lines = journal.read().splitlines(keepends=True)
        for line in lines:
            if line.endswith(b"\n"):
                e = json.loads(line)
                path = self.instance.sink / e["file"]
                self._deliveries.append(Delivery(path, e["sender"], e["recipients"], e["at"]))
                self._journal_read += len(line)
        return self._deliveries

    def delivered(self, to: str, patience: float = 30.0) -> Delivery:
        """Wait for a delivery to this recipient."""

        def found() -> Delivery | None:
            return next((d for d in self.deliveries() if to in d.recipients), None)

        return self.until(found, patience)

    def log(self, name: str) -> str:
        """What the process has logged; `mail` is Postfix's mail log."""
        return (self.instance.log / f"{name}.log").read_text(errors="replace")

    def pids(self, name: str) -> list[int]:
        """Of a process by its name in the supervisor: policyd, milterd, worker, …"""
        return supervisor.pids(self.instance).get(name, [])

    def children(self, name: str, command: str = "") -> list[int]:
        """Of such a process: milterd's workers, or Postfix's `cleanup`, `qmgr`, `smtpd`, …"""
        found = [c for pid in self.pids(name) for c in psutil.Process(pid).children(recursive=True)]
        return [c.pid for c in found if command in c.name()]

    # --- breaking --------------------------------------------------------------------------

    def kill(self, *pids: int) -> int:
        """kill -9; returns how many were still there."""
        count = 0
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                count += 1
            except ProcessLookupError:
                pass
        return count

    @contextmanager
    def database_outage(self) -> Iterator[None]:
        """Nobody can write: PostgreSQL is down; SQLite is locked by a writer that does not end."""
        if self._cluster is not None:
            self._cluster.stop("immediate")
            try:
                yield
            finally:
                self._cluster.start()
        else:
            engine = create_engine(self.database_url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(text("BEGIN EXCLUSIVE"))
                yield
                connection.execute(text("ROLLBACK"))
            engine.dispose()

    def flush(self) -> None:
        """Make Postfix try all deferred mail again now."""
        configuration = str(self.instance.postfix)
        subprocess.run(["/usr/sbin/postqueue", "-c", configuration, "-f"], check=True)
