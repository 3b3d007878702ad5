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


def test_what_it_gets(ready: Cli) -> None:
    ready.ok("domain", "add", "example.com")
    made = ready.ok(
        "endpoint", "create", URL, "--domain", "example.com", "--tag", "a", "--batch", "5"
    )
    assert (made["domains"], made["tags"], made["batch"]) == (["example.com"], ["a"], 5)
    number = str(made["id"])
    changed = ready.ok("endpoint", "set", number, "--event", "bounced", "--tag", "b", "--tag", "c")
    assert (changed["events"], changed["tags"]) == (["bounced"], ["b", "c"])
    assert (changed["domains"], changed["batch"]) == (["example.com"], 5)
    changed = ready.ok("endpoint", "set", number, "--everything", "--stream", "bulk")
    assert (changed["events"], changed["tags"], changed["domains"]) == ([], [], [])
    assert changed["streams"] == ["bulk"]
    assert "no domain 'example.org'" in ready.refused(
        "endpoint", "set", number, "--domain", "example.org"
    )


def test_looked_at_and_sent_again(ready: Cli) -> None:
    number = str(ready.ok("endpoint", "create", URL)["id"])
    tested = str(ready.ok("endpoint", "test", number)["id"])
    shown = ready.ok("endpoint", "show", tested)
    assert '"type":"endpoint.test"' in shown["body"]
    assert (shown["tries"], len(shown["upcoming"])) == ([], 1)
    assert "endpoint.test" in ready.text("endpoint", "show", tested)
    ready.ok("endpoint", "disable", number), ready.ok("endpoint", "enable", number)
    assert [row["id"] for row in ready.ok("endpoint", "log", number, "--state", "dead")] == [
        shown["id"]
    ]
    assert ready.ok("endpoint", "replay", number, "--dead") == {"sent": 1}
    assert ready.ok("endpoint", "replay", number, tested) == {"sent": 1}
    assert ready.ok("endpoint", "log", number)[0]["state"] == "waiting"
    assert ready.ok("endpoint", "replay", number, "--hours", "1")["done_at"] is None
    assert "under way" in ready.refused("endpoint", "replay", number, "--hours", "1")
    assert len(ready.ok("endpoint", "replays", number)) == 1
    assert "since" in ready.text("endpoint", "replays", number)


def test_what_is_refused(ready: Cli) -> None:
    assert "not one of the public" in ready.refused("endpoint", "create", "https://10.0.0.1/")
    assert "no event" in ready.refused("endpoint", "create", URL, "--event", "balance")
