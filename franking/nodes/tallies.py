"""How often something has happened on a node, ever.

One row per node and name, which several processes raise: whoever does it beside other things, does
it last, so that nobody waits for that row and holds another.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

Name = Literal[
    "inbound_accepted",  # reports about our mail that were understood
    "inbound_forged",  # refused at RCPT, or found later, for a token that nobody here has made
    "inbound_expired",  # for one that is too old
    "inbound_unusable",  # set aside
    "inbound_automatic_reply",  # dropped
    "inbound_heuristic",  # bounces in words, which suppress nobody
    "inbound_passed_on",  # to the original senders
    "inbound_not_passed_on",  # too many at once
]

_ADD = text(
    "INSERT INTO tally (node, name, count) VALUES (:node, :name, :count)"
    " ON CONFLICT (node, name) DO UPDATE SET count = tally.count + excluded.count"
)


def add(session: Session, node: str, name: Name, count: int = 1) -> None:
    session.execute(_ADD, {"node": node, "name": name, "count": count})
