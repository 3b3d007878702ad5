"""What the remote server answered, out of the text behind `status=word (`.

Postfix puts its own words around a reply (smtp/smtp_chat.c, smtp_trouble.c, smtp_connect.c):

    host mx.example[192.0.2.1] said: 550-5.1.1 … 550 5.1.1 … (in reply to RCPT TO command)
    host mx.example[192.0.2.1] refused to talk to me: 421 …
    connect to mx.example[192.0.2.1]:25: Connection refused
    lost connection with mx.example[192.0.2.1] while sending RCPT TO

A successful attempt has the bare reply.  Everything is anchored at the start of the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PEER = r"(?P<host>[^\s\[\]]{1,255})\[(?P<ip>[^\s\[\]]{1,255})\]"
RELAY = re.compile(rf"{PEER}(?::\d{{1,5}})?")
SAID = re.compile(
    rf"(?:delivery temporarily suspended: )?host {PEER}(?::\d{{1,5}})? "
    r"(?:said|refused to talk to me): (?P<text>.*?)(?: \(in reply to [A-Za-z ]{1,40} command\))?",
    re.DOTALL,
)
TROUBLE = re.compile(
    r"(?:delivery temporarily suspended: )?"
    rf"(?:connect to|lost connection with|conversation with|host) {PEER}"
)
CODE = re.compile(r"[2-5]\d\d(?=[ -]|$)")
ADDRESS = re.compile(r"(?:IPv6:)?([0-9A-Fa-f:.]{2,45})")


class Answer(NamedTuple):
    text: str
    code: int | None
    host: str | None
    ip: str | None


def answer(relay: str, status: str, reply: str) -> Answer:
    """`relay` is the peer that Postfix logged, or `none`; `reply` is without its outer brackets."""
    said = SAID.fullmatch(reply)
    text = said["text"] if said else reply
    peer = RELAY.fullmatch(relay) or said or TROUBLE.match(reply)
    code = CODE.match(text) if said or (status == "sent" and peer) else None
    return Answer(text, int(code[0]) if code else None, peer["host"] if peer else None, _ip(peer))


def _ip(peer: re.Match[str] | None) -> str | None:
    """None for LMTP over a socket file, which stands where the address would be."""
    found = ADDRESS.fullmatch(peer["ip"]) if peer else None
    return found[1] if found else None
