"""The rest of the Internet: an SMTP server that keeps what it is given.

Each delivered message becomes one file with the raw bytes as received (CRLF, dots unstuffed), and
then one JSON line in a journal outside that directory: file, envelope, time.  How a recipient is
answered is in the local part of its address:

    bounce…    550 5.1.1, two lines      slow…      250 after 2 s
    full…      552 5.2.2                 greylist…  451 4.7.1 the first time, then 250
    defer…     451 4.7.1 for ever        others     250
    wire…      250, and what the client sent is kept as it came, dots and all, as `<file>.wire`
    say…       what `sink.replies/<local part>` beside the journal says, octet by octet; to the end
               of the message, what `<local part>.data` there says
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

SIZE_LIMIT = 64 << 20  # bytes; more than the relay accepts
SLOW = 2.0  # seconds

BOUNCE = (
    "550-5.1.1 The email account that you tried to reach does not exist.\r\n"
    "550 5.1.1 Please check the address for typing errors (sink)"
)
FULL = "552 5.2.2 Mailbox full (sink)"
DEFER = "451 4.7.1 Try again later (sink)"
GREYLIST = "451 4.7.1 Greylisted, please try again in a moment (sink)"


class Recipients:
    """Answers to RCPT TO; remembers whom it has greylisted."""

    def __init__(self, replies: Path) -> None:
        self._replies = replies
        self._seen: set[tuple[str, str]] = set()

    def scripted(self, recipient: str, suffix: str = "") -> bytes | None:
        """What a test wants to be said, without the final CRLF."""
        name = recipient.rpartition("@")[0] + suffix
        if not name.startswith("say") or "/" in name or not (self._replies / name).is_file():
            return None
        return (self._replies / name).read_bytes()

    def answer(self, sender: str, recipient: str) -> str | bytes:
        local_part = recipient.rpartition("@")[0].lower()
        if (said := self.scripted(recipient)) is not None:
            return said
        if local_part.startswith("greylist"):
            if (sender, recipient) in self._seen:
                return "250 2.1.5 Ok"
            self._seen.add((sender, recipient))
            return GREYLIST
        for prefix, reply in (("bounce", BOUNCE), ("full", FULL), ("defer", DEFER)):
            if local_part.startswith(prefix):
                return reply
        return "250 2.1.5 Ok"


class Mailbox:
    """Writes messages and the journal; a file appears whole or not at all."""

    def __init__(self, directory: Path, journal: Path) -> None:
        self._directory = directory
        self._half_written = journal.with_suffix(".partial")
        self._journal = journal.open("a", buffering=1)
        self._count = 0

    def keep(self, content: bytes, wire: bytearray | None, **envelope: object) -> str:
        self._count += 1
        name = f"{time.time_ns()}-{self._count}.eml"
        if wire is not None:
            (self._directory / f"{name}.wire").write_bytes(wire)
        self._half_written.write_bytes(content)
        self._half_written.rename(self._directory / name)
        entry = {"file": name, "at": time.time(), "size": len(content), **envelope}
        self._journal.write(json.dumps(entry) + "\n")
        return name


class Handler:
    """aiosmtpd's callbacks."""

    def __init__(self, mailbox: Mailbox, recipients: Recipients) -> None:
        self._mailbox = mailbox
        self._recipients = recipients

    async def handle_RCPT(
        self, _server: SMTP, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str | bytes:
        reply = self._recipients.answer(envelope.mail_from, address)
        if reply[:3] in ("250", b"250"):
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
            if address.startswith("slow"):
                await asyncio.sleep(SLOW)
        return reply

    async def handle_DATA(self, server: Server, session: Any, envelope: Any) -> str | bytes:
        wire = server.received_so_far()
        said = self._recipients.scripted(envelope.rcpt_tos[0], ".data")
        if said is not None and not said.startswith(b"250"):
            return said
        name = self._mailbox.keep(
            envelope.original_content,
            wire if envelope.rcpt_tos[0].startswith("wire") else None,
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            options=envelope.mail_options,
            helo=session.host_name,
        )
        return said or f"250 2.0.0 Ok: kept as {name}"


class Server(SMTP):
    """aiosmtpd without its limit on lines: what the relay lets out must be seen here."""

    line_length_limit = SIZE_LIMIT

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        self._received += data
        super().data_received(data)

    def received_so_far(self) -> bytearray:
        """Since it was asked the last time."""
        received, self._received = self._received, bytearray()
        return received


async def serve(listener: socket.socket, handler: Handler) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(
        lambda: Server(
            handler,
            hostname="sink.test",
            ident="sink",
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            loop=loop,
        ),
        sock=listener,
        backlog=1024,
    )
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fd", type=int, required=True, help="inherited listening socket")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    options = parser.parse_args()
    os.umask(0o022)
    replies = options.journal.with_suffix(".replies")
    handler = Handler(Mailbox(options.directory, options.journal), Recipients(replies))
    asyncio.run(serve(socket.socket(fileno=options.fd), handler))


if __name__ == "__main__":
    main()
