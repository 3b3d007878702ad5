"""`/help/<topic>`: public, because whoever manages the DNS often has no login here."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from franking.domains.records import RelayNames
from franking.reasons import NotFound
from webpanel.access import public
from webpanel.domains.about import settings

bp = Blueprint("help", __name__, url_prefix="/help")
TOPICS = {
    "dns": ("Adding DNS records", "Where they go, and what providers do to them."),
    "subdomains": ("Which domain to send from", "One name for each kind of mail, and why."),
    "deliverability": ("Mail that arrives", "A checklist, the most important first."),
}


@bp.get("")
@public
def index() -> ResponseReturnValue:
    return render_template("help/index.html", topics=TOPICS)


@bp.get("/<topic>")
@public
def show(topic: str) -> ResponseReturnValue:
    if topic not in TOPICS:
        raise NotFound(f"there is no help about {topic!r}")
    title, _ = TOPICS[topic]
    relay = RelayNames.of(settings())
    return render_template(f"help/{topic}.html", topics=TOPICS, title=title, relay=relay)
