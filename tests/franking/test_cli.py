"""The operator's command line, as an operator types it."""

from __future__ import annotations

import json

import pytest

from tests.command_line import Cli


def test_before_init_it_says_so(cli: Cli) -> None:
    assert "franking init" in cli.refused("balance")


def test_init_twice(cli: Cli) -> None:
    assert cli.ok("init")["plan_created"] is True
    again = cli.ok("init")
    assert (again["schema_before"], again["plan_created"]) == (again["schema"], False)


def test_from_nothing_to_a_sender(ready: Cli) -> None:
    made = ready.ok("credential", "create", "website")
    assert made["secret"].startswith("frank_live_")
    added = ready.ok("domain", "add", "Shop.example.com")
    assert {record["type"] for record in added["records"]} == {"TXT"}
    assumed = ready.run("domain", "verify", "shop.example.com", "--assume")
    assert assumed.exit_code == 0 and "without looking at the DNS" in assumed.stderr
    assert ready.ok("topup", "12.50")["available_micros"] == 12_500_000
    assert ready.ok("balance")["held_micros"] == 0
    assert ready.ok("ledger", "verify") == {"ok": True, "problems": []}
    listed = ready.ok("credential", "list")
    assert [row["username"] for row in listed] == [made["username"]]
    assert made["secret"] not in json.dumps(listed)
    assert ready.ok("credential", "revoke", made["username"])["status"] == "revoked"
    assert ready.ok("message", "list") == {"messages": [], "next": None}


def test_a_user_gets_a_password_once(ready: Cli) -> None:
    made = ready.ok("account", "create", "shop", "--email", "Ann@Example.com")
    assert len(made["password"]) >= 12
    assert "password" not in ready.ok("account", "show", "shop")


def test_the_account_must_be_said_when_there_are_two(ready: Cli) -> None:
    ready.ok("account", "create", "other")
    assert "--account: acme, other" in ready.refused("balance")
    assert ready.ok("balance", "-a", "other")["account"] == "other"


def test_a_reference_is_booked_once(ready: Cli) -> None:
    ready.ok("topup", "5", "--reference", "bank-7")
    assert "booked already" in ready.refused("topup", "5", "--reference", "bank-7")
    assert ready.ok("balance")["available_micros"] == 5_000_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("topup", "1.0000001"), "six decimals"),
        (("topup", "--", "-5"), "more than zero"),
        (("account", "create", "acme"), "already"),
        (("account", "create", "No Good"), "lower-case"),
        (("account", "show", "nobody"), "no account"),
        (("domain", "add", "nodots"), "full domain name"),
        (("domain", "verify", "stranger.com", "--assume"), "no domain"),
        (("credential", "revoke", "frank_unknown"), "no credential"),
        (("message", "show", "4jWWrZ5NL3zLCyL"), "no message"),
        (("plan", "create", "p", "--price", "-1"), "negative"),
    ],
)
def test_refusals_are_sentences(ready: Cli, arguments: tuple[str, ...], said: str) -> None:
    assert said in ready.refused(*arguments)


def test_doctor_says_what_to_start(ready: Cli) -> None:
    said = ready.refused("doctor")
    assert "✗ policyd auth: nobody answers" in said
    assert "✓ ledger" in said
