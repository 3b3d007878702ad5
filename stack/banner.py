"""What `script/up` prints when everything answers."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from stack import place

RECIPIENT = "someone@elsewhere.test"


def text(facts: dict[str, Any], stop: str) -> str:
    """`facts` is what demo.json says."""
    smtp = facts["smtp"]
    ports = smtp["ports"]
    return f"""
Franking is up.

  Panel     {facts["panel_url"]}
  Log in    {facts["login"]["email"]}   {facts["login"]["password"]}

  SMTP      {smtp["host"]}
  Ports     {ports["submission"]} STARTTLS   {ports["submissions"]} TLS   \
{ports["alternate"]} STARTTLS   {ports["smtp"]} as port 25
  User      {smtp["username"]}
  Secret    {smtp["password"]}
  CA        {facts["ca_file"]}

Send a message:

  {swaks(facts)}

It lands in {facts["sink_dir"]}: a sink plays the rest of the Internet; nothing leaves this machine.
The command line for this instance: {facts["cli"]} --help
{stop}
"""


def swaks(facts: dict[str, Any]) -> str:
    smtp = facts["smtp"]
    return shlex.join(
        [
            *("swaks", "--server", f"{smtp['host']}:{smtp['ports']['submission']}", "--tls"),
            *("--auth", "PLAIN"),
            *("--auth-user", smtp["username"], "--auth-password", smtp["password"]),
            *("--from", facts["from_address"], "--to", RECIPIENT),
        ]
    )


def how_to_stop(directory: Path) -> str:
    option = "" if directory == place.DEFAULT else f" --directory {shlex.quote(str(directory))}"
    return f"Ctrl-C stops it, and so does: script/up --down{option}"
