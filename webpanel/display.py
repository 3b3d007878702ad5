"""How values are shown: amounts, instants, sizes, states.  Filters and globals for the templates.

Instants are written in UTC and made local in the browser (app.js).
"""

from __future__ import annotations

import re
from datetime import datetime

from flask import Flask
from markupsafe import Markup, escape

from franking.money.amounts import format_amount, places, plain_amount
from franking.settings import Settings

COLOURS = {  # Tabler's names
    "accepted": "azure",
    "queued": "azure",
    "held": "yellow",
    "released": "azure",
    "sandboxed": "azure",
    "suppressed": "orange",
    "deferred": "yellow",
    "delivered": "green",
    "bounced": "red",
    "expired": "red",
    "rejected": "orange",
    "partial": "yellow",
    "voided": "secondary",
    "requeued": "azure",
    "notified": "secondary",
    "complained": "red",
    "unsubscribed": "orange",
    "reserved": "azure",
    "captured": "green",
    "unknown": "orange",
    "waiting": "yellow",
    "dead": "red",
    "pending": "yellow",
    "paid": "green",
    "failed": "red",
    "reversed": "orange",
}


def init_app(app: Flask, settings: Settings) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        money=format_amount,
        plain=plain_amount,
        places=places,
        iso=iso,
        moment=moment,
        size=size,
        prose=prose,
        seconds=seconds,
        colour=colour,
    )
    app.jinja_env.globals["brand"] = settings.brand


def iso(value: datetime) -> str:
    return value.isoformat(timespec="seconds")


def moment(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S UTC")


def size(count: int) -> str:
    """Bytes, in the unit that gives one to three digits before the point."""
    if count < 1024:
        return f"{count} bytes"
    power = min((count.bit_length() - 1) // 10, 3)
    return f"{count / 1024**power:.1f} {('KiB', 'MiB', 'GiB')[power - 1]}"


def prose(text: str) -> Markup:
    """A sentence of the catalogue: what stands in backticks is set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 (escaped)


def seconds(value: float) -> str:
    """A delay: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def colour(state: str) -> str:
    return COLOURS.get(state, "secondary")
