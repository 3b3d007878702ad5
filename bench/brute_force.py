"""Guessing at passwords from many addresses, and what a customer's new sessions notice of it.

    python bench/brute_force.py                      10,000 bad logins from 100 addresses
    python bench/brute_force.py --attempts 1000 --connections 2

A stack of its own with the default limits; the guessers are another process, each address (from
127.0.1.0/24) with as many connections at a time as asked for.  Every third guess is at the secret
of one customer, the others are at names that nobody has.  That customer meanwhile opens one session
after the other, from an address that has logged in before.  Prints one JSON object; times in
milliseconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LONGEST = 600.0  # seconds of an attack
QUIET = 3.0  # seconds before it; the customer's address is noted meanwhile
PAUSE = 0.02  # seconds between the customer's sessions


@dataclass
class Times:
    """Of the customer's sessions, in milliseconds: from connect to 220, AUTH, and both."""

    banner: list[float] = field(default_factory=list)
    auth: list[float] = field(default_factory=list)
    session: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        return {
            "sessions": len(self.session),
            "failed": self.failed,
            **{name: _quantiles(getattr(self, name)) for name in ("banner", "auth", "session")},
        }


def _quantiles(values: list[float]) -> dict[str, float]:
    ranked = sorted(values) or [float("nan")]
    return {
        f"p{percent}": round(ranked[min(len(ranked) - 1, len(ranked) * percent // 100)], 1)
        for percent in (50, 95, 99, 100)
    }


def valid_session(port: int, ca_file: str, username: str, secret: str, times: Times) -> None:
    """One session of the customer; what goes wrong is a line in `times.failed`."""
    context = ssl.create_default_context(cafile=ca_file)
    begun = time.perf_counter()
    try:
        client = smtplib.SMTP("localhost", port, timeout=30)
        greeted = time.perf_counter()
        with client:
            client.starttls(context=context)
            client.ehlo()
            client.user, client.password = username, secret
            asked = time.perf_counter()
            client.auth("PLAIN", client.auth_plain)
            answered = time.perf_counter()
    except (smtplib.SMTPException, OSError) as error:
        times.failed.append(repr(error))
        return
    times.banner.append((greeted - begun) * 1000)
    times.auth.append((answered - asked) * 1000)
    times.session.append((answered - begun) * 1000)


def guess(
    *, port: int, ca_file: str, username: str, attempts: int, addresses: int, connections: int
) -> Counter[str]:
    """How often each reply (or end of a session) was met in so many bad logins."""
    context = ssl.create_default_context(cafile=ca_file)
    numbers, met, lock = count(), Counter[str](), threading.Lock()
    deadline = time.monotonic() + LONGEST

    def note(what: str) -> None:
        with lock:
            met[what] += 1

    def guesser(address: str) -> None:
        while time.monotonic() < deadline:
            try:
                with smtplib.SMTP(
                    "localhost", port, timeout=60, source_address=(address, 0)
                ) as client:
                    client.starttls(context=context)
                    client.ehlo()
                    while (number := next(numbers)) < attempts:
                        client.user = f"frank_{number:010}" if number % 3 else username
                        client.password = f"guess-{number}"
                        try:
                            client.auth("PLAIN", client.auth_plain)
                        except smtplib.SMTPAuthenticationError as error:
                            note(str(error.smtp_code))
                    return
            except (smtplib.SMTPException, OSError) as error:
                note(type(error).__name__)
                if next(numbers) >= attempts:  # the guess that it took was not answered
                    return

    threads = [
        threading.Thread(target=guesser, args=(f"127.0.1.{1 + number % addresses}",))
        for number in range(addresses * connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return met


def attack(
    port: int,
    ca_file: str,
    customer: tuple[str, str],
    *,
    attempts: int,
    addresses: int = 100,
    connections: int = 1,
) -> dict[str, Any]:
    """Figures of an attack on a running stack; `customer` is user name and secret."""
    times, quiet = Times(), Times()
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        valid_session(port, ca_file, *customer, quiet)
        time.sleep(PAUSE)
    facts = {
        "port": port,
        "ca_file": ca_file,
        "username": customer[0],
        "attempts": attempts,
        "addresses": addresses,
        "connections": connections,
    }
    begun = time.monotonic()
    guessers = subprocess.Popen(
        [sys.executable, __file__, "--guess", json.dumps(facts)], stdout=subprocess.PIPE
    )
    try:
        while guessers.poll() is None:
            valid_session(port, ca_file, *customer, times)
            time.sleep(PAUSE)
        seconds = time.monotonic() - begun
        said, _ = guessers.communicate(timeout=10)
    finally:
        if guessers.poll() is None:
            guessers.kill()
            guessers.wait()
    return {
        "seconds": round(seconds, 1),
        "guesses": json.loads(said),
        "customer": times.figures(),
        "customer_before": quiet.figures(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--attempts", type=int, default=10_000)
    parser.add_argument("--addresses", type=int, default=100)
    parser.add_argument("--connections", type=int, default=1, help="of each address, at a time")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--guess", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.guess:
        print(json.dumps(guess(**options.guess)))
        return
    from franking.settings import Protection  # noqa: PLC0415  the guessers do without
    from stack.running import RunningStack  # noqa: PLC0415

    defaults = {"protection": Protection().model_dump()}
    directory = Path(tempfile.mkdtemp(prefix="franking-"))
    directory.chmod(0o755)  # Postfix's own user enters it
    with contextlib.ExitStack() as ending:
        ending.callback(shutil.rmtree, directory)
        stack = ending.enter_context(RunningStack.started(directory, options.engine, defaults))
        sender = stack.sender("customer")
        figures = attack(
            stack.ports.submission,
            str(stack.instance.ca_file),
            (sender.username, sender.secret),
            attempts=options.attempts,
            addresses=options.addresses,
            connections=options.connections,
        )
        figures["process_limit_reached"] = stack.log("mail").count("has reached its process limit")
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
