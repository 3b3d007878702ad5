"""What a domain is asked to publish."""

from __future__ import annotations

import dataclasses

from franking.domains.records import PURPOSES, Record, RelayNames, expected_records
from franking.settings import Settings
from tests.franking.domains.zonecases import ED25519, RELAY, RSA, TOKEN, a_domain

SPLIT = 255 - len("v=DKIM1; k=rsa; p=")


def by_name(records: list[Record]) -> dict[str, Record]:
    assert len({record.name for record in records}) == len(records)
    return {record.name: record for record in records}


def test_everything_of_a_relay_that_has_everything() -> None:
    records = expected_records(*a_domain("shop.test"), RELAY)
    assert [(r.purpose, r.required, r.relative_name, r.type, r.value) for r in records] == [
        ("ownership", True, "_franking", "TXT", f"franking-verify={TOKEN}"),
        ("dkim", True, "s2026q4._domainkey", "TXT", f"v=DKIM1; k=rsa; p={RSA}"),
        ("dkim", True, "s2026q4e._domainkey", "TXT", f"v=DKIM1; k=ed25519; p={ED25519}"),
        ("return_path", False, "bounce", "CNAME", "bounces.relay.test"),
        ("spf", False, "@", "TXT", "v=spf1 include:spf.relay.test -all"),
        ("dmarc", False, "_dmarc", "TXT", "v=DMARC1; p=none; rua=mailto:d7@reports.relay.test"),
        ("tracking", False, "links", "CNAME", "links.relay.test"),
    ]
    assert tuple(dict.fromkeys(record.purpose for record in records)) == PURPOSES
    for record in records:
        assert record.name == "shop.test" or record.name.endswith(".shop.test")
        assert record.why.endswith(".") and record.ttl == 3600 and record.zone == "shop.test"
    assert [record.key_id for record in records if record.purpose == "dkim"] == [1, 2]


def test_a_relay_without_names_asks_for_nothing_of_them() -> None:
    records = expected_records(*a_domain("shop.test"))
    assert [record.purpose for record in records] == ["ownership", "dkim", "dkim", "dmarc"]
    assert by_name(records)["_dmarc.shop.test"].value == "v=DMARC1; p=none"


def test_a_domain_without_tracking_is_not_asked_for_it() -> None:
    domain, keys = a_domain("shop.test")
    domain.tracking_host = None
    assert "tracking" not in {record.purpose for record in expected_records(domain, keys, RELAY)}


def test_keys_to_come_are_announced_and_old_ones_are_not_expected() -> None:
    domain, (key, other) = a_domain("shop.test")
    key.state, other.state = "pending", "retiring"
    records = expected_records(domain, [key, other], RELAY)
    (announced,) = (record for record in records if record.purpose == "dkim")
    assert announced.key_id == key.id and not announced.required
    assert "next" in announced.why


def test_both_slots_are_published_at_once() -> None:
    records = by_name(expected_records(*a_domain("shop.test", "cname"), RELAY))
    first, second = (records[f"frank{n}._domainkey.shop.test"] for n in (1, 2))
    assert (first.type, first.value) == ("CNAME", "frank1.k7.keys.relay.test")
    assert (second.type, second.value) == ("CNAME", "frank2.k7.keys.relay.test")
    assert (first.required, first.key_id, second.required, second.key_id) == (True, 1, False, None)
    assert first.behind == f"v=DKIM1; k=rsa; p={RSA}" and second.behind == ""


def test_while_the_method_changes_both_ways_are_shown() -> None:
    """The key that signs is still a TXT record, and the slots are asked for."""
    domain, keys = a_domain("shop.test", "txt")
    domain.dkim_method = "cname"
    records = [r for r in expected_records(domain, keys[:1], RELAY) if r.purpose == "dkim"]
    assert [(r.name.partition(".")[0], r.type, r.required) for r in records] == [
        ("s2026q4", "TXT", True),
        ("frank1", "CNAME", False),
        ("frank2", "CNAME", False),
    ]
    back, keys = a_domain("shop.test", "cname")
    back.dkim_method = "txt"
    (record,) = (r for r in expected_records(back, keys, RELAY) if r.purpose == "dkim")
    assert (record.type, record.required) == ("CNAME", True)


def test_without_a_zone_of_the_relays_own_keys_are_txt_records() -> None:
    relay = dataclasses.replace(RELAY, dkim_zone="")
    records = expected_records(*a_domain("shop.test", "cname"), relay)
    (record,) = (record for record in records if record.purpose == "dkim")
    assert (record.name, record.type) == ("frank1._domainkey.shop.test", "TXT")
    assert record.value == f"v=DKIM1; k=rsa; p={RSA}"


def test_long_values_are_split() -> None:
    record = by_name(expected_records(*a_domain("shop.test")))["s2026q4._domainkey.shop.test"]
    assert record.strings == (f"v=DKIM1; k=rsa; p={RSA[:SPLIT]}", RSA[SPLIT:])
    assert record.quoted == f'"v=DKIM1; k=rsa; p={RSA[:SPLIT]}" "{RSA[SPLIT:]}"'
    assert Record("x", "a.test", "TXT", r'say "a\b"').quoted == r'"say \"a\\b\""'
    assert Record("x", "a.test", "TXT", "").quoted == '""'
    assert Record("x", "a.test", "CNAME", "b.test").quoted == "b.test."


def test_names_are_relative_to_the_zone_that_the_provider_knows() -> None:
    records = by_name(expected_records(*a_domain("mail.shop.test"), RELAY))
    token, spf = records["_franking.mail.shop.test"], records["mail.shop.test"]
    assert (token.relative_name, spf.relative_name) == ("_franking", "@")
    assert (token.relative_to("shop.test"), spf.relative_to("shop.test")) == (
        "_franking.mail", "mail",
    )  # fmt: skip
    assert token.relative_to("other.test") == token.relative_to("") == token.name


def test_names_come_from_the_settings() -> None:
    own = Settings.model_validate(
        {
            "bounces": {"domain": "bounces.relay.test"},
            "dns": {"spf": "include:spf.relay.test", "tracking": "links.relay.test", "ttl": 600},
            "dkim": {"zone": "keys.relay.test", "ed25519": True},
            "dmarc": {"reports": "reports.relay.test"},
            "brand": {"prefix": "mom"},
        }
    )
    assert RelayNames.of(own) == dataclasses.replace(
        RELAY, ttl=600, slots=("mom1", "mom2", "mom1e", "mom2e")
    )
