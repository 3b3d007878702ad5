"""Does what was signed still verify when it arrives?  10,000 messages, and a second verifier.

    python bench/signatures.py [--messages 10000] [--engine postgresql]

Messages of every kind that breaks signatures elsewhere (`content`) go through a stack of their own:
smtpd, milterd, cleanup, the queue, smtp, and the sink on the other side.  Each file that the sink
got is verified by opendkim-testmsg, which shares no code with the signer.  Prints a table, writes
bench/results/signatures.json, and ends with 1 if one was lost or does not verify.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import shutil
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from bench.submission import Customer, Session  # noqa: E402
from stack.running import RunningStack, Sender  # noqa: E402
from tests import published, verifiers  # noqa: E402

SESSIONS = 16
EACH = 50  # messages a session
BATCH = 500  # messages of one call of the verifier
MEGABYTE = 1 << 20
Chance = random.Random


def _words(chance: Chance, least: int, most: int) -> bytes:
    words = (b"stamp", b"letter", b"parcel", b"post", b"frank", b".", b"=", b"--", b"\xc3\xa9")
    return b" ".join(chance.choice(words) for _ in range(chance.randint(least, most)))


def plain(chance: Chance) -> bytes:
    return b"".join(_words(chance, 0, 12) + b"\r\n" for _ in range(chance.randint(1, 60)))


def eight_bit(chance: Chance) -> bytes:
    """Any octet but CR, LF and NUL."""
    letters = bytes(n for n in range(1, 256) if n not in b"\r\n")
    lines = (bytes(chance.choices(letters, k=chance.randint(0, 200))) for _ in range(20))
    return b"".join(line + b"\r\n" for line in lines)


def trailing_blanks(chance: Chance) -> bytes:
    blanks = (b"", b" ", b"\t", b"  \t ", b" " * 70)
    lines = (_words(chance, 0, 6) + chance.choice(blanks) + b"\r\n" for _ in range(20))
    return b"".join(lines) + b"\r\n" * chance.randint(0, 9)


def empty(chance: Chance) -> bytes:
    return b"\r\n" * chance.choice((0, 0, 1, 5))


def dots(chance: Chance) -> bytes:
    return b"".join(b"." * chance.randint(0, 4) + chance.choice((b"", b" ", b"x")) + b"\r\n"
                    for _ in range(40))  # fmt: skip


def long_lines(chance: Chance) -> bytes:
    """998 octets is what SMTP has room for (RFC 5321 §4.5.3.1.6)."""
    return b"".join(b"x" * chance.choice((996, 997, 998)) + b"\r\n" for _ in range(5))


def one_megabyte(chance: Chance) -> bytes:
    return base64.encodebytes(chance.randbytes(MEGABYTE)).replace(b"\n", b"\r\n")


KINDS: dict[str, tuple[Callable[[Chance], bytes], int]] = {  # and its share
    "plain": (plain, 20),
    "8-bit": (eight_bit, 20),
    "trailing blanks": (trailing_blanks, 20),
    "empty": (empty, 10),
    "dots": (dots, 10),
    "long lines": (long_lines, 9),
    "long headers": (plain, 10),
    "1 MB of base64": (one_megabyte, 1),
}


def content(kind: str, number: int, sender: str) -> bytes:
    """The same for the same number; header fields folded and spaced as mail programs do it."""
    chance = Chance(number)
    body = KINDS[kind][0](chance)
    fields = [
        b"From:  Shop <" + sender.encode() + b">",
        b"To: <a@example.net>,\r\n\t<b@example.net>",
        b"Subject: "
        + str(number).encode()
        + b" "
        + _words(chance, 0, 30).replace(b"\xc3\xa9", b""),
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: " + (b"base64" if kind.endswith("base64") else b"8bit"),
        b"X-Number:" + b" " * chance.randint(0, 3) + str(number).encode(),
    ]
    if kind == "long headers":
        references = b"\r\n ".join(
            b"<%020d@shop.example>" % n for n in range(chance.randint(1, 400))
        )
        fields += [b"References: " + references, b"X-Long: " + b"y" * chance.randint(1, 900)]
    return b"\r\n".join(fields) + b"\r\n\r\n" + body


def stuffed(message: bytes) -> bytes:
    """RFC 5321 §4.5.2; ends a line."""
    whole = message if message.endswith(b"\r\n") else message + b"\r\n"
    return b"\r\n".join(b"." + line if line[:1] == b"." else line for line in whole.split(b"\r\n"))


def run(directory: Path, engine: str, messages: int) -> dict[str, Any]:
    """Returns the figures; `failures` are file names with what the verifier said."""
    with RunningStack.started(directory, engine) as stack:
        sender = stack.sender("signatures")
        begun = time.monotonic()
        queued = _send(stack, sender, messages)
        stack.until(lambda: len(stack.deliveries()) >= messages, 300)
        sent = time.monotonic() - begun
        paths = [delivery.path for delivery in stack.deliveries()]
        begun = time.monotonic()
        said = _verified(paths, published.texts(stack.database, sender.account, sender.domain))
        return {
            "messages": messages,
            "accepted": len(queued),
            "kinds": dict(Counter(kind for kind, _ in _numbered(messages))),
            "verified": sum(not text for text in said),
            "lost": messages - len(paths),
            "failures": {p.name: text for p, text in zip(paths, said, strict=True) if text},
            "seconds_to_send": round(sent, 1),
            "seconds_to_verify": round(time.monotonic() - begun, 1),
        }


def _numbered(messages: int) -> list[tuple[str, int]]:
    """Each message's kind and number."""
    kinds = [kind for kind, (_, share) in KINDS.items() for _ in range(share)]
    return [(kinds[number % len(kinds)], number) for number in range(messages)]


def _send(stack: RunningStack, sender: Sender, messages: int) -> list[str]:
    context = ssl.create_default_context(cafile=stack.instance.ca_file)
    customer = Customer(sender.username, sender.secret, sender.address, ("a@example.net",))
    everything = _numbered(messages)
    random.Random(1).shuffle(everything)
    sessions = [everything[n : n + EACH] for n in range(0, messages, EACH)]

    def send(share: Sequence[tuple[str, int]]) -> list[str]:
        session = Session(stack.ports.submissions, context, customer)
        try:
            return [
                session.send(
                    sender.address,
                    customer.recipients,
                    stuffed(content(kind, number, sender.address)),
                )
                for kind, number in share
            ]
        finally:
            session.close()

    with ThreadPoolExecutor(SESSIONS) as pool:
        return [said for queued in pool.map(send, sessions) for said in queued]


def _verified(paths: Sequence[Path], records: dict[str, str]) -> list[str]:
    said: list[str] = []
    for start in range(0, len(paths), BATCH):
        said += verifiers.opendkim_files(paths[start : start + BATCH], records)
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="franking-"))
    directory.chmod(0o755)
    try:
        figures = run(directory, options.engine, options.messages)
    finally:
        shutil.rmtree(directory)
    text = json.dumps(figures, indent=1)
    (ROOT / "bench/results/signatures.json").write_text(text + "\n")
    print(text)
    return 0 if figures["verified"] == options.messages else 1


if __name__ == "__main__":
    sys.exit(main())
