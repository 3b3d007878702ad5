"""`franking doctor` on a stack that was just started, with what the Internet would see of it."""

from __future__ import annotations

import pytest

from stack.running import RunningStack

pytestmark = pytest.mark.one_engine


def test_nothing_is_red_because_this_is_a_laptop(stack: RunningStack) -> None:
    """One line says what is not configured, one that nobody answers here; the four listeners'
    certificates are really seen."""
    found = stack.cli("doctor", "--now")
    assert found["ok"]
    report = found["deliverability"]
    assert [(f["name"], f["status"]) for f in report["findings"]] == [
        ("addresses", "warn"),
        ("resolver", "warn"),
        *[("certificate", "ok")] * 4,
    ]
    ports = {f["subject"] for f in report["findings"] if f["name"] == "certificate"}
    assert ports == {f"{name}:{port}" for name, port in stack.facts["smtp"]["ports"].items()}


def test_a_probe_sees_what_a_client_sees(stack: RunningStack) -> None:
    ports = stack.facts["smtp"]["ports"]
    own = ["--starttls", str(ports["submission"]), "--implicit", str(ports["submissions"])]
    found = stack.cli("deliverability", "probe", "127.0.0.1", *own)
    assert [f["name"] for f in found["findings"]] == ["probe", "certificate"] * 2
    assert found["findings"][0]["detail"].endswith(" ESMTP")
