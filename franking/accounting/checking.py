"""Checks files of the accounting log that were fetched into a directory.

Whoever fetches them runs this file alone, with Python 3.10 or newer and nothing else:

    python3 checking.py DIRECTORY

It prints what is wrong, a line each, and exits with 1.  Wrong is: a file that the manifest names is
missing, or not as it was written; a gap in the sequence; a file that does not follow the one before
it.  `--format jsonl` looks at files of that format only.

What was right is remembered in `checked.json` in the directory.  So files that were right once may
be moved away, a gap is seen also when retention has removed what was in it, and so is a manifest
that was put back to an older one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

MANIFEST = "manifest.jsonl"
MEMORY = "checked.json"
VERSION = 1
NAME = re.compile(r"events-[0-9]{8}T[0-9]{4}Z-[0-9]{7,}\.(jsonl|csv)\.(gz|zst)")
PIECE = 1 << 20  # bytes

Entry = dict[str, Any]


def check(directory: Path, only: str | None = None) -> list[str]:
    """What is wrong, in sentences; remembers in the directory what is right."""
    try:
        listed = _manifest(directory / MANIFEST)
        known = _memory(directory / MEMORY)
        wrong = [
            sentence
            for form in ("jsonl", "csv")
            if only in (None, form)
            for sentence in _of_format(
                directory,
                [entry for entry in listed if entry["format"] == form],
                {name: entry for name, entry in known.items() if entry["format"] == form},
                known,
            )
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"cannot be read: {error!r}"]
    _remember(directory / MEMORY, listed, known)
    return wrong


def _of_format(
    directory: Path, listed: list[Entry], before: dict[str, Entry], known: dict[str, Entry]
) -> Iterator[str]:
    """What is right goes to `known`."""
    last = max(before.values(), key=lambda entry: int(entry["sequence"]), default=None)
    yield from _sequence(listed, last)
    for entry in listed:
        earlier = before.get(entry["name"])
        if earlier is not None and earlier["sha256"] != entry["sha256"]:
            yield f"{entry['name']} was another file before"
        elif (fault := _fault(directory, entry, earlier is not None)) is not None:
            yield fault
        else:
            known[entry["name"]] = entry


def _sequence(listed: list[Entry], last: Entry | None) -> Iterator[str]:
    """Gaps and breaks, from what was right at the last check on."""
    if not listed:
        return
    entries = {int(entry["sequence"]): entry for entry in listed}
    if last is not None:
        if max(entries) < last["sequence"]:
            yield f"the manifest ends before {last['name']}, which was in it before"
        entries.setdefault(last["sequence"], last)
    for one, other in pairwise(sorted(entries)):
        this, following = entries[one], entries[other]
        if other != one + 1:
            count = other - one - 1
            yield f"{count} missing between {this['name']} and {following['name']}"
        elif following["previous_sha256"] != this["sha256"]:
            yield f"{following['name']} does not follow {this['name']}"


def _fault(directory: Path, entry: Entry, once_right: bool) -> str | None:
    if not NAME.fullmatch(entry["name"]):
        return f"{entry['name']!r} is no name of a file of the log"
    path = directory / entry["name"]
    if not path.exists():
        return None if once_right else f"{entry['name']} is missing"
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    if digest.hexdigest() != entry["sha256"]:
        size = path.stat().st_size
        return f"{entry['name']} is not as it was written ({size} bytes of {entry['size']})"
    return None


def _manifest(path: Path) -> list[Entry]:
    with path.open(encoding="utf-8") as file:
        head, *entries = [json.loads(line) for line in file]
    if head["manifest"] != VERSION:
        raise ValueError(f"{path.name} has version {head['manifest']}: fetch a newer checking.py")
    return entries


def _memory(path: Path) -> dict[str, Entry]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _remember(path: Path, listed: list[Entry], known: dict[str, Entry]) -> None:
    """What the manifest still names, and the newest of each format in any case."""
    names = {entry["name"] for entry in listed}
    newest = {e["format"]: e["name"] for e in sorted(known.values(), key=_sequence_of)}.values()
    kept = {name: e for name, e in known.items() if name in names or name in newest}
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(kept, indent=1))
    draft.replace(path)


def _sequence_of(entry: Entry) -> int:
    return int(entry["sequence"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Check fetched files of the accounting log.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--format", choices=("jsonl", "csv"), help="look at these files only")
    arguments = parser.parse_args()
    wrong = check(arguments.directory, arguments.format)
    print(*(wrong or ["nothing is missing"]), sep="\n")  # noqa: T201 (this is a program, too)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
