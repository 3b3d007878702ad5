"""The sentences of notices about webhook endpoints; see `franking.notices.texts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Detail = Mapping[str, Any]

TITLES: dict[str, str] = {
    "endpoint.failing": "Webhook endpoint does not answer",
    "endpoint.paused": "Webhook endpoint switched off",
}

ADVICE: dict[str, str] = {
    "endpoint.failing": "The endpoint's log in the panel has each request and what came back."
    " What is not taken is tried again; nothing is lost yet.",
    "endpoint.paused": "When it works again, enable it in the panel, and have everything sent again"
    " from the time at which it failed.",
}


def sentence(kind: str, detail: Detail) -> str | None:
    """None for a kind that is not about endpoints."""
    if kind == "endpoint.failing":
        until = f" If that goes on until {detail['until']}, we stop." if detail.get("until") else ""
        return f"The webhook endpoint {_where(detail)} has taken nothing{_since(detail)}.{until}"
    if kind == "endpoint.paused":
        why = f": {detail['reason']}" if detail.get("reason") else ""
        return f"The webhook endpoint {_where(detail)} gets nothing any more{why}."
    return None


def _where(detail: Detail) -> str:
    return str(detail.get("url") or "of the account")


def _since(detail: Detail) -> str:
    return f" since {detail['since']}" if detail.get("since") else ""
