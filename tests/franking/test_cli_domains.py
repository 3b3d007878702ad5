"""`franking domain …` and `franking account close`, as an operator types them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.command_line import Cli
from tests.dns.fakedns import FakeDns


@pytest.fixture
def server(ready: Cli) -> Iterator[FakeDns]:
    """The only server in the world."""
    with FakeDns({}) as server:
        with ready.settings.open("a") as file:
            file.write(
                "[dkim]\ned25519 = true\n"
                "[bounces]\ndomain = 'bounce.relay.test'\n"
                f"[dns]\nresolvers = ['{server}']\nauthoritative_port = {server.port}\n"
            )
        yield server


def test_from_add_to_green(ready: Cli, server: FakeDns) -> None:
    """The zone file is published as it was printed."""
    added = ready.ok("domain", "add", "Shop.test")
    assert (added["domain"], added["status"], added["dkim_method"]) == (
        "shop.test", "pending", "txt",
    )  # fmt: skip
    assert [(r["purpose"], r["required"], r["status"]) for r in added["records"]] == [
        ("ownership", True, "not_started"),
        ("dkim", True, "not_started"),
        ("dkim", True, "not_started"),
        ("return_path", False, "not_started"),
        ("dmarc", False, "not_started"),
    ]
    before = ready.run("domain", "check", "shop.test")
    assert before.exit_code == 1
    assert "missing" in before.stdout and "shop.test: pending" in before.stdout
    assert "_franking.shop.test: " in before.stdout, "what to do"

    server.set_zone("shop.test", ready.text("domain", "show", "shop.test", "--zone"))
    checked = ready.ok("domain", "check", "shop.test")
    assert (checked["status"], checked["verified_by"]) == ("verified", "dns")
    assert {record["status"] for record in checked["records"]} == {"verified"}
    shown = ready.ok("domain", "show", "shop.test")
    assert shown == {**checked, "checked_at": shown["checked_at"]}
    assert "shop.test: verified" in ready.text("domain", "verify", "shop.test")
    [listed] = ready.ok("domain", "list")
    assert (listed["domain"], listed["status"]) == ("shop.test", "verified")
    for record in shown["records"]:
        assert record["name"] in ready.text("domain", "show", "shop.test")
        assert record["quoted"] in ready.text("domain", "show", "shop.test")


def test_who_has_it_is_said(ready: Cli, server: FakeDns) -> None:
    """All records are right, and yet: the sentence says what has to happen."""
    ready.ok("account", "create", "other")
    ready.ok("domain", "add", "shop.test", "-a", "other")
    ready.ok("domain", "verify", "shop.test", "-a", "other", "--assume")
    ready.ok("domain", "add", "shop.test", "-a", "acme")
    zone = ready.text("domain", "show", "shop.test", "-a", "acme", "--zone")
    server.set_zone("shop.test", zone)
    refused = ready.refused("domain", "check", "shop.test", "-a", "acme")
    assert "shop.test: pending" in refused and "verified by another account" in refused
    gone = ready.run("domain", "check", "shop.test", "-a", "other", "--json")
    assert gone.exit_code == 0 and json.loads(gone.stdout)["status"] == "failing"
    assert ready.ok("domain", "check", "shop.test", "-a", "acme")["status"] == "verified"
    lost = ready.refused("domain", "check", "shop.test", "-a", "other")
    assert "shop.test: pending" in lost


def test_nobody_answers(ready: Cli, server: FakeDns) -> None:
    ready.ok("domain", "add", "shop.test")
    server.faults["."] = "servfail"
    said = ready.refused("domain", "check", "shop.test")
    assert "temporary failure" in said and "shop.test: pending" in said


def test_remove_asks(ready: Cli) -> None:
    ready.ok("domain", "add", "shop.test")
    assert ready.run("domain", "remove", "shop.test").exit_code == 1, "nobody said yes"
    assert len(ready.ok("domain", "list")) == 1
    removed = ready.ok("domain", "remove", "shop.test", "--yes")
    assert removed == {"domain": "shop.test", "status": "removed"}
    assert ready.ok("domain", "list") == []
    assert "no domain" in ready.refused("domain", "show", "shop.test")
    assert ready.ok("domain", "add", "shop.test")["status"] == "pending"


def test_subdomains_may_be_allowed(ready: Cli) -> None:
    ready.ok("domain", "add", "shop.test")
    for option, allowed in (("--allow", True), ("--refuse", False)):
        assert ready.ok("domain", "subdomains", "shop.test", option)["subdomains"] is allowed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("domain", "add", "co.uk"), "public suffix"),
        (("domain", "add", "_x.shop.test"), "not a valid domain name"),
        (("domain", "add", "shop.test", "--dkim", "cname"), "no zone for CNAMEs"),
        (("domain", "check", "shop.test"), "no domain"),
        (("domain", "remove", "shop.test", "--yes"), "no domain"),
        (("account", "close", "nobody", "--yes"), "no account"),
    ],
)
def test_refusals_are_sentences(ready: Cli, arguments: tuple[str, ...], said: str) -> None:
    assert said in ready.refused(*arguments)


def test_with_a_zone_of_its_own_the_relay_asks_for_cnames(ready: Cli) -> None:
    with ready.settings.open("a") as file:
        file.write("[dkim]\nzone = 'dkim.relay.test'\n")
    made = ready.ok("domain", "add", "shop.test")
    targets = {r["name"]: r["type"] for r in made["records"] if r["purpose"] == "dkim"}
    assert made["dkim_method"] == "cname" and targets == {
        "frank1._domainkey.shop.test": "CNAME",
        "frank2._domainkey.shop.test": "CNAME",
    }
    other = ready.ok("domain", "add", "other.test", "--dkim", "txt")
    assert {r["type"] for r in other["records"] if r["purpose"] == "dkim"} == {"TXT"}


def test_an_account_is_closed_for_good(ready: Cli) -> None:
    ready.ok("domain", "add", "shop.test")
    ready.ok("topup", "5")
    made = ready.ok("credential", "create", "website")
    asked = ready.run("account", "close", "acme")
    assert asked.exit_code == 1 and "€5.00 left" in asked.output.replace("5.00 EUR", "€5.00")
    closed = ready.ok("account", "close", "acme", "--yes")
    assert (closed["status"], closed["available_micros"]) == ("closed", 5_000_000)
    assert ready.ok("domain", "list") == []
    [credential] = ready.ok("credential", "list")
    assert (credential["username"], credential["status"]) == (made["username"], "revoked")


def test_hosts(ready: Cli, server: FakeDns) -> None:
    ready.ok("domain", "add", "shop.test")
    named = ready.ok("domain", "hosts", "shop.test", "--return-path", "mail")
    assert [r["name"] for r in named["records"] if r["purpose"] == "return_path"] == [
        "mail.shop.test"
    ]
    assert "is no host" in ready.refused("domain", "hosts", "shop.test", "--tracking", "a b")
    ready.ok("domain", "hosts", "shop.test", "--tracking", "click")
    assert "choose another" in ready.refused(
        "domain", "hosts", "shop.test", "--return-path", "click"
    )
    ready.ok("domain", "hosts", "shop.test", "--tracking", "none", "--return-path", "click")
