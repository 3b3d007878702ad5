"""Plays the files of tests/dialogs (their README is the manual) against a listening server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 5.0  # seconds
GREETING = rb"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n" + (
    rb"SPID\t\d+\nCUID\t\d+\nCOOKIE\t[0-9a-f]{32}\nDONE\n"
)
HANDSHAKE = b"VERSION\t1\t0\nCPID\t4711\n"
_ESCAPE = re.compile(r"\\(t|0|\\|x[0-9a-f]{2})")


@dataclass(frozen=True)
class Line:
    number: int
    speaker: str
    text: str


def lines(path: Path) -> Iterator[Line]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.startswith("#"):
            assert line[:2] in ("P:", "W:"), f"{path.name}:{number}"
            yield Line(number, line[0], line[3:])


def octets(text: str, names: Mapping[str, str]) -> bytes:
    for name, value in names.items():
        text = text.replace("{" + name + "}", value)
    text = re.sub(r"repeat\((.),(\d+)\)", lambda m: m[1] * int(m[2]), text)
    text = re.sub(
        r"b64\(([^)]*)\)", lambda m: base64.b64encode(_unescape(m[1])).decode("ascii"), text
    )
    return _unescape(text)


def _unescape(text: str) -> bytes:
    named = {"t": b"\t", "0": b"\0", "\\": b"\\"}
    parts = _ESCAPE.split(text)
    return b"".join(
        (named.get(part) or bytes.fromhex(part[1:])) if index % 2 else part.encode()
        for index, part in enumerate(parts)
    )


async def play(path: Path, socket: str, names: Mapping[str, str]) -> None:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        for line in lines(path):
            if (line.speaker, line.text) == ("P", "(connects)"):
                await hang_up(writer)
                reader, writer = await asyncio.open_unix_connection(socket)
            else:
                await _speak(line, reader, writer, names, f"{path.name}:{line.number}")
    finally:
        await hang_up(writer)


async def _speak(
    line: Line,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    names: Mapping[str, str],
    where: str,
) -> None:
    match line.speaker, line.text:
        case "P", "(handshake)":
            await expect(reader, GREETING, where)
            writer.write(HANDSHAKE)
        case "P", text:
            writer.write(octets(text, names) + b"\n")
        case _, "(greeting)":
            await expect(reader, GREETING, where)
        case _, "(closes)":
            assert await said(reader.read()) == b"", where
        case _, text:
            wanted = re.escape(octets(text, names)).replace(rb"\{any\}", b".+")
            await expect(reader, wanted + b"\n", where)


async def expect(reader: asyncio.StreamReader, pattern: bytes, where: str) -> None:
    heard = b""
    while heard.count(b"\n") < max(1, pattern.count(rb"\n")):
        line = await said(reader.readline())
        assert line, f"{where}: closed after {heard!r}"
        heard += line
    assert re.fullmatch(pattern, heard), f"{where}: {heard!r}"


async def said(answer: Awaitable[bytes]) -> bytes:
    """What comes within our patience; a connection that is reset has said nothing more."""
    try:
        return await asyncio.wait_for(answer, PATIENCE)
    except ConnectionResetError:
        return b""


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
