"""Ten thousand domains are looked at again: how long that takes, and how much memory.

    python bench/domains.py                          10,000 domains, each a zone of its own
    python bench/domains.py --domains 2000 --engine postgresql

The worker is a process of its own with the service's real code; Debian's Knot has the zones and
Debian's Unbound is the resolver, all on this machine.  The domains are verified, and everything is
published that is expected of them: token, RSA key, return path, SPF and DMARC.  First a tenth of
them is due, then all, so that peak memory can be compared.  Prints one JSON object; exit code 1 if
it took longer than five minutes, the memory grew by a tenth, or anything was found to be wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from sqlalchemy import func, insert, select, update  # noqa: E402

from franking.db import Base, Database, utcnow  # noqa: E402
from franking.domains import dkim  # noqa: E402
from franking.domains.models import DkimKey, DnsCheck, Domain  # noqa: E402
from franking.domains.records import RelayNames, expected_records  # noqa: E402
from franking.domains.zonefile import zone_text  # noqa: E402
from franking.settings import Settings, load  # noqa: E402
from stack.cluster import Cluster  # noqa: E402
from stack.settings_file import toml  # noqa: E402
from tests import factories  # noqa: E402
from tests.dns.knot import Knot  # noqa: E402
from tests.dns.unbound import Unbound  # noqa: E402

LONGEST = 300.0  # seconds: what was promised for 10,000
LOOK = 0.2
RELAY = """
bounce  MX   10 mx
mx      A    192.0.2.1
spf     TXT  "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"
"""


def work(settings_file: str) -> None:
    """The worker; says at its end how many questions it has asked."""
    from franking import log  # noqa: PLC0415
    from franking.dns.question import Inquiry  # noqa: PLC0415
    from worker.dns.service import Service  # noqa: PLC0415

    log.configure("worker.dns", "error")  # lines go to stderr
    stop, asked = threading.Event(), [0]
    exchange = Inquiry._exchange

    def counted(self: Inquiry, *arguments: Any) -> Any:
        asked[0] += 1
        return exchange(self, *arguments)

    setattr(Inquiry, "_exchange", counted)  # noqa: B010 - mypy minds an assignment
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    service = Service(load(Path(settings_file)), stop)
    print("ready", flush=True)
    service.run()
    print(json.dumps(asked[0]))


def fill(database: Database, settings: Settings, count: int) -> dict[str, str]:
    """So many verified domains, none of them due; their zones."""
    private, public = dkim.generate()  # the same for all: making one takes a tenth of a second
    with database.transaction() as session:
        account_id = factories.account(session).id
    later = utcnow() + timedelta(days=30)
    shared = {"verified_at": utcnow(), "verified_by": "dns", "check_due_at": later,
              "dkim_due_at": later}  # fmt: skip
    domains = [
        Domain(id=n, account_id=account_id, name=f"shop{n}.test", dkim_method="txt",
               dmarc_stage="none", return_path_host="bounce",
               ownership_token=secrets.token_hex(16), dmarc_token=secrets.token_hex(8))
        for n in range(1, count + 1)
    ]  # fmt: skip
    keys = [
        DkimKey(id=d.id, domain_id=d.id, selector="s2026q4", algorithm=dkim.RSA, state="active",
                method="txt", public_key=public, sealed_private_key=private)
        for d in domains
    ]  # fmt: skip
    with database.transaction() as session:
        session.execute(insert(Domain), [_row(domain) | shared for domain in domains])
        session.execute(insert(DkimKey), [_row(key) for key in keys])
    relay = RelayNames.of(settings)
    return {
        domain.name: zone_text(expected_records(domain, [key], relay))
        for domain, key in zip(domains, keys, strict=True)
    }


def _row(row: Base) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}


def look(database: Database, worker: subprocess.Popen[bytes], count: int) -> dict[str, Any]:
    """Make so many due, and wait for the last."""
    with database.transaction() as session:
        of = update(Domain).where(Domain.id <= count)
        session.execute(of.values(check_due_at=utcnow(), checked_at=None))
    begun = time.monotonic()
    while _left(database, count) and time.monotonic() < begun + 2 * LONGEST:
        assert worker.poll() is None, "the worker has ended"
        time.sleep(LOOK)
    seconds = time.monotonic() - begun
    return {
        "domains": count - _left(database, count),
        "seconds": round(seconds, 1),
        "domains_per_second": round(count / seconds, 1),
        "peak_rss_mib": _peak(worker.pid),
    }


def _left(database: Database, count: int) -> int:
    query = select(func.count()).where(Domain.id <= count, Domain.checked_at.is_(None))
    with database.session() as session:
        return session.scalar(query) or 0


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise LookupError(pid)


def _wrong(database: Database) -> dict[str, int]:
    query = select(DnsCheck.purpose, DnsCheck.status, func.count())
    query = query.where(DnsCheck.status != "verified").group_by(DnsCheck.purpose, DnsCheck.status)
    with database.session() as session:
        return {f"{purpose} {status}": count for purpose, status, count in session.execute(query)}


def run(options: argparse.Namespace, directory: Path, ending: contextlib.ExitStack) -> bool:
    url = f"sqlite:///{directory}/franking.db"
    if options.engine == "postgresql":
        cluster = Cluster.create(directory / "postgresql")
        ending.callback(cluster.stop, "immediate")
        url = cluster.url
    database = Database(url)
    ending.callback(database.close)
    Base.metadata.create_all(database.engine)
    own: dict[str, Any] = {
        "database_url": url,
        "master_key": factories.MASTER_KEY_BASE64,
        "bounces": {"domain": "bounce.relay.test"},
        "dmarc": {"reports": "reports.relay.test"},
        "dns": {"spf": "include:spf.relay.test", "concurrency": options.concurrency},
    }
    file = directory / "franking.toml"
    file.write_text(toml(own))
    zones = fill(database, load(file), options.domains)
    knot = ending.enter_context(Knot({"relay.test": RELAY, **zones}))
    unbound = ending.enter_context(Unbound(knot.port))
    own["dns"] |= {"resolvers": [str(unbound)], "authoritative_port": knot.port}
    file.write_text(toml(own))
    command = [sys.executable, __file__, "--work", str(file)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE)
    ending.callback(_end, worker)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    few = look(database, worker, options.domains // 10)
    all_ = look(database, worker, options.domains)
    worker.send_signal(signal.SIGTERM)
    told = time.monotonic()
    said, _ = worker.communicate(timeout=60)
    seconds = few["seconds"] + all_["seconds"]
    wrong = _wrong(database)
    growth = all_["peak_rss_mib"] / few["peak_rss_mib"]
    figures = {
        "engine": options.engine,
        "concurrency": options.concurrency,
        "cores": os.cpu_count(),
        "load_before": options.load,
        "few": few,
        "all": all_,
        "questions": json.loads(said),
        "questions_per_second": round(json.loads(said) / seconds),
        "peak_rss_growth": round(growth, 3),
        "not_verified": wrong,
        "seconds_to_end": round(time.monotonic() - told, 2),
    }
    print(json.dumps(figures, indent=2))
    return bool(all_["seconds"] <= LONGEST and growth < 1.1 and not wrong)


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.kill()
        worker.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--domains", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        work(options.work)
        return
    options.load = round(os.getloadavg()[0], 1)
    with contextlib.ExitStack() as ending:
        directory = Path(tempfile.mkdtemp(prefix="franking-"))
        ending.callback(shutil.rmtree, directory)
        directory.chmod(0o755)  # PostgreSQL's own user enters it
        good = run(options, directory, ending)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
