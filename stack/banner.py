"""What `script/up` prints when everything answers."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from franking.listeners import Listeners
from stack import place

RECIPIENT = "someone@elsewhere.test"


def text(facts: dict[str, Any], listeners: Listeners, stop: str) -> str:
    """`facts` is what demo.json says."""
    smtp = facts["smtp"]
    ports = [
        f"{smtp['ports'][name]} {'TLS' if listener.tls == 'implicit' else 'STARTTLS'}"
        for name, listener in listeners.for_submission().items()
    ]
    return f"""
Franking is up.

  Panel     {facts["panel_url"]}
  Log in    {facts["login"]["email"]}   {facts["login"]["password"]}

  SMTP      {smtp["host"]}
  Ports     {"   ".join(ports)}{_inbound(smtp["ports"], listeners)}
  User      {smtp["username"]}
  Secret    {smtp["password"]}
  CA        {facts["ca_file"]}

Send a message:

  {swaks(facts)}

It lands in {facts["sink_dir"]}: a sink plays the rest of the Internet; nothing leaves this machine.
The command line for this instance: {facts["cli"]} --help
{stop}
"""


def _inbound(ports: dict[str, int], listeners: Listeners) -> str:
    if not listeners.smtp.enabled or listeners.smtp.submission:
        return ""
    return f"\n            ({ports['smtp']} plays port 25: for other servers, no submission)"


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
