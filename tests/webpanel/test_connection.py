"""What customers are told about the ports: those that take submission, and how."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from franking.listeners import Listeners

OFF = {"enabled": False}


@pytest.mark.parametrize(
    ("listeners", "ports", "swaks"),
    [
        ({}, ["587", "465", "2525"], ":587 --tls "),
        ({"smtp": {"submission": True}}, ["25", "587", "465", "2525"], ":25 --tls "),
        ({"submission": OFF, "alternate": OFF}, ["465"], ":465 --tlsc "),
        ({"submission": OFF, "submissions": OFF, "alternate": OFF}, [], None),
    ],
    ids=["own", "25-too", "465-only", "none"],
)
def test_ports(
    app: Flask, mine: FlaskClient, listeners: dict[str, Any], ports: list[str], swaks: str | None
) -> None:
    settings = app.extensions["franking.settings"]
    update = {"listeners": Listeners.model_validate(listeners)}
    app.extensions["franking.settings"] = settings.model_copy(update=update)
    assert re.findall(r'id="smtp-port-(\d+)"', mine.get("/").text) == ports
    created = mine.post("/credentials", data={"name": "another"}).text
    assert "API key (SMTP password)" in created
    assert re.findall(r":\d+ --tlsc? ", created) == ([swaks] if swaks else [])
