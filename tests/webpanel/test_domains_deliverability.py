"""What receivers see of a domain, and of the relay's own servers."""

from __future__ import annotations

import html

from flask import Flask
from flask.testing import FlaskClient

from franking.db import Database, utcnow
from franking.deliverability import results
from franking.deliverability.findings import fail, ok
from tests.webpanel.names import Names
from tests.webpanel.seed import HOSTILE

PAGE = "/domains/example.com/deliverability"


def test_the_domain_is_looked_at_when_asked(mine: FlaskClient, app: Flask) -> None:
    names = Names(
        values={
            ("example.com", "MX"): ("10 mx.example.com",),
            ("mx.example.com", "A"): ("192.0.2.25",),
            ("_dmarc.example.com", "TXT"): (f"v=DMARC1; p=none; x={HOSTILE}",),
        }
    )
    app.extensions["franking.lookup"] = names
    assert "It takes some seconds" in mine.get(PAGE).text
    assert names.asked == 0
    answer = mine.post(PAGE)
    assert answer.status_code == 200
    assert "mx.example.com takes its mail" in answer.text
    assert HOSTILE not in answer.text
    assert html.escape(HOSTILE) in answer.text
    asked = names.asked
    again = mine.post(PAGE, follow_redirects=True)
    assert "The DNS was asked just now" in again.text
    assert names.asked == asked


def test_our_side_is_shown(mine: FlaskClient, database: Database) -> None:
    assert "Nothing has been looked at yet" in mine.get(PAGE).text
    with database.transaction() as session:
        listed = fail("dnsbl", "192.0.2.1 zen", f"listed {HOSTILE}", "ask to be delisted")
        fine = [ok("ptr", f"192.0.2.{n}", "mx.relay.example") for n in range(9)]
        results.store(session, "n1", [*fine, listed], utcnow())
    page = mine.get(PAGE).text
    assert "192.0.2.1 zen" in page
    assert "Ask to be delisted" not in page  # the operator's business
    assert "9 checks are fine" in page
    assert HOSTILE not in page
