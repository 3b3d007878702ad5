"""Money and mail while processes are killed at random: what was promised, and what was kept.

    python bench/chaos.py                                   seven minutes at most, SQLite
    python bench/chaos.py --engine postgresql --profile short   two minutes at most

A stack of its own takes mail of three customers at a steady rate (bench/submission.py, another
process) while somebody sends kill -9 to policyd, milterd's workers, the workers behind the mail
log and the housekeeping, and Postfix's cleanup, smtpd and qmgr; while processes die by themselves
at the worst moments (`franking.failpoints`); and while the mail log is rotated every 5 s.  Then it
is left alone until everything is settled, and three journals are held against each other: the
client's replies, the sink's deliveries with Postfix's queue, and the database.  bench/README.md
says what each figure means.  Prints a table, writes bench/results/chaos-<engine>.json, and ends
with 1 if anything was lost, doubled or left open.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from bench import chaos_figures  # noqa: E402
from bench.submission import Customer, Load  # noqa: E402
from franking import failpoints  # noqa: E402
from franking.accounts.rules import Rules, parse_window  # noqa: E402
from franking.money.pricing import Tier  # noqa: E402
from franking.money.terms import Terms  # noqa: E402
from stack.running import RunningStack  # noqa: E402

ROTATE_EVERY = 5.0  # seconds
CHILDHOOD = 12.0  # seconds
CHANCES = {  # of death at each passing
    "milterd.uncommitted": 0.002,
    "milterd.committed": 0.002,
    "maillog.committed": 0.01,
    "held.granted": 0.05,
}
# The reconciler looks sooner than it does by default, so that it meets mail that is on its way.
SETTINGS = {"maillog": {"reconcile_after": 15, "reconcile_every": 3}}


@dataclass(frozen=True)
class Profile:
    """Seconds of load, and the longest wait afterwards; seconds between two kills on average."""

    load: float
    settled_within: float
    between_kills: float = 1.5
    rate: float = 120.0  # messages a second


PROFILES = {
    "full": Profile(load=270, settled_within=150),
    "short": Profile(load=50, settled_within=100),
}
Find = Callable[[RunningStack], list[int]]


def _one_of(name: str) -> Find:
    return lambda stack: stack.children("postfix", name)


def _grown_up(name: str) -> Find:
    """A daemon that has worked for a while: on a busy machine it takes seconds to start, and all
    of its clients wait for that."""

    def find(stack: RunningStack) -> list[int]:
        born = time.time() - CHILDHOOD
        return [pid for pid in stack.pids(name) if psutil.Process(pid).create_time() < born]

    return find


PROCESSES = ("policyd", "worker", "housekeeping")
VICTIMS: dict[str, Find] = {
    **{name: _grown_up(name) for name in PROCESSES},
    "milterd": lambda stack: stack.children("milterd"),
    "cleanup": _one_of("cleanup"),
    "smtpd": _one_of("smtpd"),
    "qmgr": _one_of("qmgr"),
}


def customers(stack: RunningStack) -> tuple[Customer, ...]:
    """One with a single price; one by recipient and on tiers; one whose mail is often held."""
    held = Rules(windows=(parse_window("5/second hold"),))
    tiers = [Tier(0, 900), Tier(700, 700), Tier(2000, 500)]
    senders = (
        (stack.sender("plain"), ("one@plain.example",), 12),
        (
            stack.sender("tiers", terms=Terms(billing_unit="recipient", included=100), tiers=tiers),
            ("one@tiers.example", "two@other.example", "three@other.example"),
            3,
        ),
        (stack.sender("held", rules=held), ("one@held.example",), 1),
    )
    return tuple(
        Customer(sender.username, sender.secret, sender.address, recipients, share)
        for sender, recipients, share in senders
    )


@contextlib.contextmanager
def repeatedly(action: Callable[[], None], pause: Callable[[], float]) -> Iterator[None]:
    """In a thread, while the block runs."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(pause()):
            action()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def rotate(stack: RunningStack) -> None:
    command = ["/usr/sbin/postfix", "-c", str(stack.instance.postfix), "logrotate"]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def disturb(stack: RunningStack, profile: Profile, load: Load) -> Counter[str]:
    """The load, with everything that goes wrong meanwhile; returns the kills by victim."""
    kills: Counter[str] = Counter()
    chance = random.Random()
    bag: list[str] = []

    def find(victim: str) -> list[int]:
        """None: it is being started, or is too young."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return VICTIMS[victim](stack)
        return []

    def at_any_age(victim: str) -> list[int]:
        """Failpoints may never let one grow up."""
        return stack.pids(victim) if victim in PROCESSES else find(victim)

    def kill() -> None:
        if not bag:  # each once, in an order of its own, before one comes again
            bag.extend(chance.sample(sorted(VICTIMS), len(VICTIMS)))
        victim = bag.pop()
        if pids := find(victim):
            kills[victim] += stack.kill(chance.choice(pids))

    def pause() -> float:
        return chance.uniform(0.1, 1.9) * profile.between_kills

    client = [sys.executable, str(ROOT / "bench/submission.py"), load.text]
    with repeatedly(kill, pause), repeatedly(lambda: rotate(stack), lambda: ROTATE_EVERY):
        subprocess.run(client, check=True, timeout=load.seconds + load.last + 120)
    for victim in sorted(VICTIMS.keys() - kills.keys()):  # whom chance has spared
        kills[victim] += stack.kill(*stack.until(functools.partial(at_any_age, victim)))
    return kills


def run(directory: Path, engine: str, profile: Profile) -> dict[str, Any]:
    """All figures of one run."""
    chances = " ".join(f"{point}={chance}" for point, chance in CHANCES.items())
    with contextlib.ExitStack() as ending:
        ending.enter_context(_environment(failpoints.VARIABLE, chances))
        stack = ending.enter_context(RunningStack.started(directory, engine, SETTINGS))
        load = Load(
            port=stack.ports.submissions,
            ca_file=str(stack.instance.ca_file),
            customers=customers(stack),
            journal=str(directory / "client.journal"),
            seconds=profile.load,
            rate=profile.rate,
        )
        begun = time.monotonic()
        kills = disturb(stack, profile, load)
        seconds = time.monotonic() - begun
        settled = chaos_figures.settle(stack, load, profile.settled_within)
        figures = chaos_figures.of(stack, load)
        died = chaos_figures.died_at_failpoints(stack)
        accepted = figures.pop("accepted")
        return {
            "accepted": accepted,
            "kills": kills.total() + died.total(),
            **figures,
            "engine": engine,
            "seconds": round(seconds, 1),
            "settled_after": settled,
            "messages_per_second": round(accepted / seconds, 1),
            "kills_by_victim": dict(sorted(kills.items())),
            "deaths_at_failpoints": dict(sorted(died.items())),
        }


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def table(figures: Mapping[str, Any]) -> str:
    lines = []
    for name, value in figures.items():
        shown = "" if isinstance(value, dict) else value
        lines.append(f"{name.replace('_', ' '):28}{shown!s:>12}")
        if isinstance(value, dict):
            lines += [f"  {part:26}{count!s:>12}" for part, count in value.items()]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="full")
    parser.add_argument("--keep", action="store_true", help="leave logs and database in place")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="franking-"))
    directory.chmod(0o755)  # Postfix's own user enters it
    try:
        figures = run(directory, options.engine, PROFILES[options.profile])
    finally:
        if options.keep:
            print(f"everything is kept in {directory}")
        else:
            shutil.rmtree(directory)
    figures["profile"] = options.profile
    print(table(figures))
    results = ROOT / "bench/results"
    results.mkdir(exist_ok=True)
    path = results / f"chaos-{options.engine}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    wrong = chaos_figures.wrong(figures)
    print(f"{path.relative_to(ROOT)}: {', '.join(wrong) or 'nothing lost, doubled or left open'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
