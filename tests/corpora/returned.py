"""The corpus in `bounces/`: what it is made of, its README says."""

from __future__ import annotations

import base64
import quopri
import re
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent / "bounces"
_SECTION = re.compile(r"^=== (shape|case) (.+)\n", re.M)
_PLACE = re.compile(r"\{\{([a-z_]+)((?:\|[a-z0-9-]+)*)\}\}")
_KEYS = {"expect", "sent", "to", "forged", "suppress", "event"}


@dataclass(frozen=True)
class Places:
    """What is known of the message that a report is about."""

    token: str = "gnxw6mrrpbqtcmjrgiytcmjrgi-abcdefghijklmnop"
    bounce_domain: str = "bounces.relay.example"
    queue_id: str = "4dCk0V2w5Xz9yt"
    forged_token: str = "gnxw6mrrpbqtcmjrgiytcmjrgi-aaaaaaaaaaaaaaaa"

    def filled(self, forged: bool) -> dict[str, str]:
        token = self.forged_token if forged else self.token
        return {
            "token": token,
            "return_path": f"bounce+{token}@{self.bounce_domain}",
            "bounce_domain": self.bounce_domain,
            "queue_id": self.queue_id,
            "sender": "news@shop.example",
            "date": "Sat, 14 Nov 2026 09:12:33 +0100",
            "message_id": "<178.6a5f0c21.news@shop.example>",
            "host": "out1.relay.example",
            "ip": "192.0.2.25",
            "subject": "Your order has been shipped",
            "headers": _HEADERS.replace("{{token}}", token),
            "body": "Hello,\n\nyour order 20-4711 has been shipped.\n\nYour shop",
        }


_HEADERS = """\
Received: from out1.relay.example (out1.relay.example [192.0.2.25])
\tby mx.ziel.example (Postfix) with ESMTPS id 4dCk0X1Jb5z1xyz
\tfor <{{rcpt}}>; Sat, 14 Nov 2026 09:12:30 +0100 (CET)
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=shop.example; s=frk1;
\tt=1794643950; h=From:To:Subject:Date:Message-ID; bh=47DEQpj8HBSa+/TImW+5J=;
\tb=ZGF0YQ==
From: Shop <{{sender}}>
To: {{rcpt}}
Subject: {{subject}}
Date: Sat, 14 Nov 2026 09:12:29 +0100
Message-ID: {{message_id}}
X-Franking-Ref: {{token}}
Feedback-ID: 17:orders:shop.example:franking
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8"""


@dataclass(frozen=True)
class Case:
    """`name` is `file: shape: case`."""

    name: str
    shape: str
    fills: dict[str, str]
    directives: dict[str, str] = field(default_factory=dict)

    @property
    def rcpt(self) -> str:
        return self.fills.get("rcpt", "anna.berg@ziel.example")

    @property
    def sent(self) -> list[str]:
        return self.directives.get("sent", self.rcpt).split()

    @property
    def forged(self) -> bool:
        return self.directives.get("forged") == "yes"

    @property
    def suppressing(self) -> bool:
        return self.directives.get("suppress") != "none"

    @property
    def recorded(self) -> bool:
        return self.directives.get("event") != "none"

    @property
    def kind(self) -> str:
        return self.directives["expect"].split()[0]

    @property
    def outcomes(self) -> list[tuple[str, str, str]]:
        """(recipient, action, category) of each; the recipient is empty when not told."""
        first, *rest = self.directives["expect"].split("\n")
        words = [[self.rcpt, *first.split()[1:]]] if first.split()[1:] else []
        words += [line.split() for line in rest]
        return sorted(
            ("" if who == "-" else who, action, category) for who, action, category in words
        )

    @property
    def complainers(self) -> list[str]:
        return [who for who in self.directives["expect"].split()[1:] if who != "-"]

    def to(self, places: Places) -> str:
        """The address it is sent to."""
        own = self.directives.get("to")
        filled = places.filled(self.forged)
        return f"{own}@{places.bounce_domain}" if own else filled["return_path"]

    def message(self, places: Places) -> bytes:
        """With the lines that virtual(8) puts before it."""
        values = {**places.filled(self.forged), "rcpt": self.rcpt, **self.fills}
        to = self.to(places)
        text = f"Return-Path: <>\nX-Original-To: {to}\nDelivered-To: {to}\n" + self.shape
        for _ in range(4):  # what fills a place has places, too
            text = _PLACE.sub(lambda found: _value(found, values), text)
        return text.encode("utf-8", "surrogateescape")


def _value(found: re.Match[str], values: dict[str, str]) -> str:
    value, filters = values[found[1]], found[2].split("|")[1:]
    if not filters:
        return value
    value = _PLACE.sub(lambda inner: _value(inner, values), value)
    data = value.encode(filters[0])
    if "word" in filters:
        return f"=?{filters[0]}?b?{base64.b64encode(data).decode()}?="
    if "base64" in filters:
        data = base64.encodebytes(data).rstrip(b"\n")
    elif "qp" in filters:
        data = quopri.encodestring(data)
    return data.decode("utf-8", "surrogateescape")


def cases() -> list[Case]:
    """All of them, in the order of the files."""
    return [case for path in sorted(HERE.glob("*.txt")) for case in _of(path)]


def _of(path: Path) -> list[Case]:
    found, shape, title = [], "", ""
    sections = _SECTION.split(path.read_text("utf-8"))[1:]
    for kind, name, text in zip(sections[::3], sections[1::3], sections[2::3], strict=True):
        if kind == "shape":
            shape, title = text, name
            continue
        fills = _fields(text)
        directives = {key: fills.pop(key) for key in _KEYS & set(fills)}
        case = Case(f"{path.stem}: {title}: {name}", shape, fills, {})
        for key, value in directives.items():
            case.directives[key] = value.replace("{{rcpt}}", case.rcpt)
        found.append(case)
    return found


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    key = ""
    for line in text.split("\n"):
        if line.startswith("  ") and key:
            fields[key] = f"{fields[key]}\n{line[2:]}" if fields[key] else line[2:]
        elif line and not line.startswith("#"):
            key, colon, value = line.partition(":")
            assert colon, f"neither a field nor the rest of one: {line}"
            fields[key] = value.strip()
    return fields
