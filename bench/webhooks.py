"""Webhooks under load: how fast, how late beside dead endpoints, and what kill -9 loses.

    python bench/webhooks.py                                     three minutes, SQLite
    python bench/webhooks.py --engine postgresql --profile short     one minute

Events are written into a database of its own, `franking-worker webhooks` is a real process, and so
is the server that takes them (bench/taker.py).  Three runs:

* rate: events to one fast endpoint, one in a request, and then in batches;
* beside the dead: fifty endpoints that take requests and never answer, and one that is healthy;
* kills: the worker gets kill -9 again and again while events happen.

bench/README.md says what each figure means.  Prints them, writes
bench/results/webhooks-<engine>.json, and ends with 1 if an event was lost, or the healthy endpoint
waited for the dead ones.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from sqlalchemy import update  # noqa: E402

from bench.webhooks_site import Site  # noqa: E402
from franking.db import Database, utcnow  # noqa: E402
from franking.webhooks import endpoints  # noqa: E402
from franking.webhooks.models import Delivery  # noqa: E402
from stack.cluster import Cluster  # noqa: E402

DEAD = 50
BATCH = 50
EVENTS = 500  # between two kills, at most
BOUND = 2.0  # seconds from an event to its first attempt, 99 of 100
PATIENCE = 180.0


@dataclass(frozen=True)
class Profile:
    """`events` of the rate run; `seconds` beside the dead; how often the worker is killed."""

    events: int
    seconds: float
    kills: int


PROFILES = {"full": Profile(10_000, 30.0, 50), "short": Profile(1_000, 8.0, 8)}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:g} s")
        time.sleep(0.1)


def rate(site: Site, events: int, *, batch: int) -> dict[str, Any]:
    """From the first arrival to the last, and the worker's share of it."""
    account_id = site.customer(f"rate-{batch}")
    site.endpoint(account_id, site.fast, batch=batch)
    for _ in range(0, events, 500):
        site.happens(account_id, 500)
    wanted = set(site.events(account_id))
    before = len(site.arrived())
    site.start()
    until(lambda: len(site.arrived()) > before)
    began = site.worker_cpu()
    until(lambda: len(site.arrived()) - before >= len(wanted))
    cpu = site.worker_cpu() - began
    times = [at for at, name in site.arrived() if name in wanted]
    site.kill()
    return {
        "events": len(wanted),
        "per_second": round(len(times) / max(max(times) - min(times), 1e-3)),
        "worker_cpu_ms": round(1000 * cpu / len(times), 3),
    }


def beside_the_dead(site: Site, seconds: float) -> dict[str, Any]:
    """From the commit of an event to its first attempt at the healthy endpoint."""
    account_id = site.customer("healthy")
    site.endpoint(account_id, site.fast)
    dead = [site.customer(f"dead-{number}") for number in range(DEAD // endpoints.MOST + 1)]
    for _, customer in zip(range(DEAD), itertools.cycle(dead), strict=False):
        site.endpoint(customer, site.dead)
    _awake(site)
    committed: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for customer in dead:
            site.happens(customer, 1)
        committed.append(site.happens(account_id, 1)[0])
        time.sleep(0.1)
    names = site.events(account_id)
    until(lambda: {name for _, name in site.arrived()} >= set(names))
    first: dict[str, float] = {}
    for at, name in site.arrived():
        first.setdefault(name, at)
    late = sorted(first[name] - at for name, at in zip(names, committed, strict=True))
    site.kill()
    return {
        "dead_endpoints": DEAD,
        "events": len(late),
        "p50_seconds": round(statistics.median(late), 3),
        "p99_seconds": round(late[int(len(late) * 0.99)], 3),
    }


def _awake(site: Site) -> None:
    """The worker has begun: an event of somebody else has arrived."""
    account_id = site.customer("awake")
    site.endpoint(account_id, site.fast)
    site.happens(account_id, 1)
    (name,) = site.events(account_id)
    site.start()
    until(lambda: any(name == each for _, each in site.arrived()))


def kills(site: Site, count: int) -> dict[str, Any]:
    """What did not arrive, and what arrived more than once, under the same name."""
    account_id = site.customer("kills")
    site.endpoint(account_id, site.fast)
    chance = random.Random(6)
    for _ in range(count):
        before = len(site.arrived())
        site.start()
        end, most = None, EVENTS  # some time after the first arrival
        while end is None or time.monotonic() < end:
            if most > 0:
                most -= site.happens(account_id, chance.randint(1, 40))[1]
            time.sleep(0.02)
            if end is None and len(site.arrived()) > before:
                end = time.monotonic() + chance.random()
        site.kill()
        _leases_end(site.database)
    site.start()
    names = set(site.events(account_id))
    with contextlib.suppress(TimeoutError):
        until(lambda: names <= {name for _, name in site.arrived()})
    got = Counter(name for _, name in site.arrived() if name in names)
    site.kill()
    return {
        "kills": count,
        "events": len(names),
        "lost": len(names - set(got)),
        "repeated": sum(times - 1 for times in got.values()),
    }


def _leases_end(database: Database) -> None:
    """Those of the worker that was killed; 90 seconds would have to be waited for."""
    over = utcnow() - timedelta(seconds=1)
    with database.transaction() as session:
        leased = update(Delivery).where(Delivery.leased_until.is_not(None))
        session.execute(leased.values(leased_until=over))


def run(directory: Path, url: str, profile: Profile) -> dict[str, Any]:
    site = Site(directory, url)
    try:
        return {
            "single": rate(site, profile.events, batch=1),
            "batches": rate(site, profile.events, batch=BATCH),
            "kills": kills(site, profile.kills),
            "beside_the_dead": beside_the_dead(site, profile.seconds),
        }
    finally:
        site.close()


def wrong(figures: dict[str, Any]) -> list[str]:
    found = []
    if figures["kills"]["lost"]:
        found.append(f"{figures['kills']['lost']} events were lost")
    if figures["beside_the_dead"]["p99_seconds"] > BOUND:
        found.append("the healthy endpoint waited for the dead ones")
    return found


@contextlib.contextmanager
def database(directory: Path, engine: str) -> Iterator[str]:
    """Its URL."""
    if engine == "sqlite":
        yield f"sqlite:///{directory}/franking.db"
        return
    cluster = Cluster.create(directory / "cluster")
    try:
        yield cluster.url
    finally:
        cluster.stop("immediate")


def main() -> None:
    parser = argparse.ArgumentParser(description="Webhooks under load.")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--profile", choices=PROFILES, default="full")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="franking-"))
    directory.chmod(0o755)
    try:
        with database(directory, arguments.engine) as url:
            figures = run(directory, url, PROFILES[arguments.profile])
    finally:
        shutil.rmtree(directory)
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.profile == "full":
        (ROOT / f"bench/results/webhooks-{arguments.engine}.json").write_text(text + "\n")
    if found := wrong(figures):
        sys.exit("; ".join(found))


if __name__ == "__main__":
    main()
