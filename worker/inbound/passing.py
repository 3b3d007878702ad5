"""Passes a report on to the message's original sender, through this host's Postfix.

By sendmail(1), because the mail is not ours to sign and has nobody who pays: the milter sees none
of it.  It leaves as it came, so that the signature of its author holds; only what virtual(8) has
put above it is taken away.  The sender is null, so what cannot be delivered is dropped.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

PATIENCE = 30.0  # seconds
_ADDED = re.compile(
    rb"(?:(?:Return-Path|X-Original-To|Delivered-To):[^\n]*\n(?:[ \t][^\n]*\n)*)*", re.I
)

Submit = Callable[[str, bytes], None]


def sendmail(config_directory: Path) -> Submit:
    """Takes the recipient and the message; raises OSError when Postfix has not taken it."""
    command = ["sendmail", "-C", str(config_directory), "-i", "-N", "never", "-f", "", "--"]

    def submit(to: str, message: bytes) -> None:
        try:
            subprocess.run(
                [*command, to], input=message, check=True, capture_output=True, timeout=PATIENCE
            )
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode("utf-8", "replace").strip()
            raise OSError(f"sendmail: {said[:300] or error.returncode}") from error
        except subprocess.TimeoutExpired as error:
            raise OSError(f"sendmail: no end after {PATIENCE:.0f} s") from error

    return submit


def as_it_came(message: bytes) -> bytes:
    """Without the fields that the delivery into our Maildir has put on top."""
    found = _ADDED.match(message)
    return message[found.end() :] if found else message
