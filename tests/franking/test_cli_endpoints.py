"""`franking endpoint`, as an operator types it."""

from __future__ import annotations

from tests.command_line import Cli

URL = "https://example.com/hook"


def test_from_creation_to_removal(ready: Cli) -> None:
    made = ready.ok("endpoint", "create", URL, "--event", "balance.low")
    assert made["url"] == URL and made["events"] == ["balance.low"]
    assert made["secret"].startswith("whsec_")
    number = str(made["id"])
    (listed,) = ready.ok("endpoint", "list")
    assert "secret" not in listed and listed["status"] == "active"
    assert URL in ready.text("endpoint", "list")
    rotated = ready.ok("endpoint", "rotate", number)
    assert rotated["secret"] != made["secret"] and rotated["previous_until"]
    tested = ready.ok("endpoint", "test", number)
    assert (tested["event"], tested["state"]) == ("endpoint.test", "waiting")
    assert tested["webhook_id"] in ready.text("endpoint", "log", number)
    assert ready.ok("endpoint", "disable", number)["status"] == "disabled"
    assert ready.ok("endpoint", "log", number)[0]["state"] == "dead"
    assert "disabled" in ready.refused("endpoint", "test", number)
    assert ready.ok("endpoint", "enable", number)["status"] == "active"
    ready.ok("endpoint", "remove", number)
    assert ready.ok("endpoint", "list") == []
    assert "no endpoint" in ready.refused("endpoint", "log", number)


def test_what_is_refused(ready: Cli) -> None:
    assert "not one of the public" in ready.refused("endpoint", "create", "https://10.0.0.1/")
    assert "no event" in ready.refused("endpoint", "create", URL, "--event", "balance")
