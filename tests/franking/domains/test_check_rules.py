"""Rules of the check that no zone file can show; the DNS is a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.dns.answers import Answer
from franking.domains.checks import Finding, check
from franking.domains.checks.dkim import tags
from franking.domains.checks.faults import FAULTS, duration
from franking.domains.records import Record, expected_records
from tests.franking.domains.zonecases import FOREIGN, RELAY, RSA, TOKEN, Foreign, a_domain

RECORDS = expected_records(*a_domain("shop.test"), RELAY)
TOKEN_NAME, KEY_NAME = "_franking.shop.test", "s2026q4._domainkey.shop.test"
HOME = {("shop.test", "NS"): ("ns.shop.test",)}
GOOD = {(record.name, record.type): (record.value,) for record in RECORDS}


@dataclass
class Told:
    """A `Lookup`: `zone` is what the own servers say, `resolvers` what differs there.

    `zones` are all zones; `above`: what the servers of a zone say about names that are not theirs.
    """

    zone: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=lambda: dict(GOOD))
    resolvers: Sequence[dict[tuple[str, str], tuple[str, ...]]] = ({},)
    zones: tuple[str, ...] = ("shop.test",)
    above: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    def authoritative(self, name: str, type: str) -> Answer:
        self.asked.append(f"{name} {type}")
        return self._answer(name, type, self.zone, "ns")

    def resolved(self, name: str, type: str) -> list[Answer]:
        self.asked.append(f"resolvers: {name} {type}")
        if name == "spf.relay.test":
            return [Answer(name, type, "found", ("v=spf1 ip4:192.0.2.1 -all",))]
        return [
            self._answer(name, type, {**self.zone, **seen}, f"192.0.2.{n}")
            for n, seen in enumerate(self.resolvers)
        ]

    def zone_of(self, name: str) -> str | None:
        if "zones" in self.silent:
            return None
        return max((z for z in self.zones if f".{name}".endswith(f".{z}")), key=len, default=".")

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        self.asked.append(f"{zone}: {name} {type}")
        return self._answer(name, type, self.above, zone)

    def _answer(
        self, name: str, type: str, told: dict[tuple[str, str], tuple[str, ...]], server: str
    ) -> Answer:
        if server in self.silent or name in self.silent:
            return Answer(name, type, "trouble", server=server, problem="silence")
        values = told.get((name, type), ())
        if values:
            return Answer(name, type, "found", values, ttl=3600, server=server)
        known = any(other == name and found for (other, _), found in told.items())
        return Answer(name, type, "nodata" if known else "nxdomain", server=server)


def about(name: str, told: Told, records: Sequence[Record] = RECORDS) -> Finding:
    findings = check(records, told, Foreign())
    (found,) = (finding for finding in findings if finding.record.name == name)
    return found


def test_one_finding_for_each_record_in_their_order() -> None:
    findings = check(RECORDS, Told())
    assert [finding.record for finding in findings] == RECORDS
    assert {(f.status, f.fault, f.advice) for f in findings} == {("verified", None, "")}
    assert check([], Told()) == []


def test_every_resolver_must_see_it() -> None:
    nothing: dict[tuple[str, str], tuple[str, ...]] = {(TOKEN_NAME, "TXT"): ()}
    assert about(TOKEN_NAME, Told(resolvers=[{}, {}, {}])).status == "verified"
    late = about(TOKEN_NAME, Told(resolvers=[{}, {}, nothing]))
    assert (late.status, late.fault) == ("pending", "not_everywhere")
    assert "192.0.2.2" in late.advice and "nothing" in late.advice


def test_what_a_resolver_remembers_more_than_it_should_is_no_harm() -> None:
    """Another answer, but a right one."""
    more = {(TOKEN_NAME, "TXT"): ("old", f"franking-verify={TOKEN}")}
    assert about(TOKEN_NAME, Told(resolvers=[more])).status == "verified"


def test_a_resolver_that_still_has_it_proves_nothing() -> None:
    gone = Told(zone={}, resolvers=[GOOD])
    assert about(TOKEN_NAME, gone).status == "missing"


@pytest.mark.parametrize("silent", ["ns", "192.0.2.0"])
def test_silence_proves_nothing(silent: str) -> None:
    for zone in (GOOD, {}):
        told = Told(zone=dict(zone), silent=frozenset({silent}))
        expected = "missing" if silent != "ns" and not zone else "temporary_failure"
        assert about(TOKEN_NAME, told).status == expected


def test_what_is_late_is_said_before_who_is_silent() -> None:
    nothing: dict[tuple[str, str], tuple[str, ...]] = {(TOKEN_NAME, "TXT"): ()}
    told = Told(resolvers=[{}, nothing], silent=frozenset({"192.0.2.0"}))
    assert about(TOKEN_NAME, told).status == "pending"


def test_only_the_exact_token_counts() -> None:
    for text in (f"franking-verify={TOKEN}x", f"Franking-verify={TOKEN}", TOKEN,
                 f" franking-verify={TOKEN}", f"franking-verify={TOKEN.upper()}"):  # fmt: skip
        found = about(TOKEN_NAME, Told(zone={**GOOD, (TOKEN_NAME, "TXT"): (text,)}))
        assert found.status in ("wrong", "missing"), text


@pytest.mark.parametrize(
    "text",
    [
        f"v=DKIM1;k=rsa;p={RSA}",
        f"p={RSA};k=rsa",
        f"p={RSA}",
        f"v = DKIM1 ; k = rsa ; p = {RSA[:64]} {RSA[64:]} ;",
        f"v=DKIM1; h=sha256; s=*; t=s; n=hello; x=unknown; p={RSA}",
        f"v=DKIM1; h=sha1:SHA256; s=email:web; p={RSA}",
    ],
)
def test_keys_are_compared_by_what_they_say(text: str) -> None:
    assert about(KEY_NAME, Told(zone={**GOOD, (KEY_NAME, "TXT"): (text,)})).status == "verified"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"v=DKIM2; k=rsa; p={RSA}", "dkim_tags"),
        (f"k=ed25519; p={RSA}", "dkim_tags"),
        (f"v=DKIM1; p={RSA}; p={RSA}", "wrong_value"),
        (f"v=DKIM1; k=rsa; p={RSA[:-1]}A", "dkim_wrong_key"),
        (f"v=DKIM1; k=rsa; p={RSA.swapcase()}", "dkim_wrong_key"),
        (f"v=DKIM1; k=rsa; p={FOREIGN}", "dkim_of_another"),
        ("v=DKIM1; p=", "dkim_revoked"),
        ("v=spf1 -all", "absent"),
    ],
)
def test_a_key_that_verifies_nothing(text: str, fault: str) -> None:
    assert about(KEY_NAME, Told(zone={**GOOD, (KEY_NAME, "TXT"): (text,)})).fault == fault


def test_nobody_is_asked_whose_a_key_is_that_is_right() -> None:
    class Never:
        def key_owner(self, public_key: str) -> str | None:
            raise AssertionError(public_key)

    assert {finding.status for finding in check(RECORDS, Told(), Never())} == {"verified"}


@pytest.mark.parametrize("text", ["", "a", "a=1; a=2", "=1", "a b=1", "1=1", ";;;b"])
def test_no_tag_list(text: str) -> None:
    assert not tags(text)


def test_servers_that_have_handed_the_name_on_may_still_know_it() -> None:
    """Below a delegation, of the keys' names or of the whole sending domain."""
    told = Told(zone=HOME, zones=("shop.test", "_domainkey.shop.test"), above=dict(GOOD))
    found = about(KEY_NAME, told)
    assert (found.status, found.fault) == ("wrong", "wrong_zone") and found.found
    assert "host s2026q4, value" in found.advice

    records = expected_records(*a_domain("mail.shop.test"), RELAY)
    above = {(record.name, record.type): (record.value,) for record in records}
    told = Told(zone=HOME, zones=("shop.test", "mail.shop.test"), above=above)
    found = about("_franking.mail.shop.test", told, records)
    assert (found.status, found.fault) == ("wrong", "wrong_zone")
    assert "what shop.test says" in found.advice
    assert about("_franking.mail.shop.test", replace(told, above={}), records).fault == "absent"


def test_hosts_are_those_of_the_real_zone_or_of_the_domain_if_nobody_knows_it() -> None:
    records = expected_records(*a_domain("mail.shop.test"), RELAY)
    name = "_franking.mail.shop.test"
    assert "host _franking.mail," in about(name, Told(zone=HOME), records).advice
    unknown = Told(zone={(name, "TXT"): ("franking-verify=x",)}, silent=frozenset({"zones"}))
    assert "host _franking," in about(name, unknown, records).advice


def test_each_question_is_asked_once() -> None:
    for zone in ({}, HOME):
        told = Told(zone=dict(zone))
        check(RECORDS, told)
        assert len(told.asked) == len(set(told.asked))


def test_registries_are_not_asked_about_customers_records() -> None:
    told = Told(zone=HOME, zones=("shop.test", "test"))
    check(RECORDS, told)
    assert not [asked for asked in told.asked if asked.startswith("test: ")]


def test_what_is_right_costs_no_more_than_it_must() -> None:
    """Of each record its servers and the resolvers; of SPF what it includes."""
    told = Told()
    check(RECORDS, told)
    assert len(told.asked) == 2 * len(RECORDS) + 1


def test_our_own_broken_spf_record_is_not_the_customers_fault() -> None:
    class Broken(Told):
        def resolved(self, name: str, type: str) -> list[Answer]:
            if name == "spf.relay.test":
                return [Answer(name, type, "nxdomain")]
            return super().resolved(name, type)

    assert about("shop.test", Broken()).status == "temporary_failure"


def test_what_strangers_write_is_bounded_and_printable() -> None:
    nasty = "franking-verify=\x00\x1b[31m\u202e\n" + "x" * 10_000
    texts = tuple(f"{nasty}{n}" for n in range(100))
    found = about(TOKEN_NAME, Told(zone={**GOOD, (TOKEN_NAME, "TXT"): texts}))
    assert len(found.found) <= 10 and all(len(text) < 700 for text in found.found)
    assert all(text.isprintable() for text in (*found.found, found.advice))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (119, "119 seconds"), (300, "5 minutes"), (3600, "60 minutes"),
     (7201, "3 hours"), (86_400, "24 hours"), (604_800, "7 days")],
)  # fmt: skip
def test_durations(seconds: int, words: str) -> None:
    assert duration(seconds) == words


TEXT = st.one_of(
    st.text(max_size=60),
    st.builds("v=spf1 {}".format, st.text(max_size=60)),
    st.builds("v=DMARC1; {}".format, st.text(max_size=60)),
    st.builds("v=DKIM1; p={}".format, st.text(max_size=60)),
    st.sampled_from([record.value for record in RECORDS]),
    st.sampled_from([record.value[:40] for record in RECORDS]),
    st.sampled_from([f'"{record.value}"' for record in RECORDS]),
)
ANSWER = st.builds(
    lambda status, values, aliases, name: Answer(
        name, "TXT", status, tuple(values) if status == "found" else (),
        tuple((value[:5], value[5:]) for value in values), tuple(aliases), 60, "ns", "",
    ),
    st.sampled_from(["found", "found", "nodata", "nxdomain", "trouble"]),
    st.lists(TEXT, min_size=1, max_size=4),
    st.lists(st.sampled_from(["a.test", "shop.test", "_franking.shop.test"]), max_size=2),
    st.just("x.test"),
)  # fmt: skip


class Anything:
    """Answers at random, the same to everybody."""

    def __init__(self, answers: list[Answer], zones: list[str | None]) -> None:
        self.answers, self.zones = answers, zones

    def authoritative(self, name: str, type: str) -> Answer:
        return self.answers[crc32(f"{name} {type}".encode()) % len(self.answers)]

    def resolved(self, name: str, type: str) -> list[Answer]:
        return self.answers[crc32(name.encode()) % len(self.answers) :][:2]

    def zone_of(self, name: str) -> str | None:
        return self.zones[crc32(name.encode()) % len(self.zones)]

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        return self.authoritative(name, type)


@given(
    st.lists(ANSWER, min_size=1, max_size=12),
    st.lists(st.sampled_from([None, ".", "test", "shop.test", "mail.shop.test"]), min_size=1),
    st.sampled_from(["shop.test", "mail.shop.test", "a.b.co.uk"]),
    st.sampled_from(["txt", "cname"]),
)
def test_it_never_raises_and_always_says_what_to_do(
    answers: list[Answer], zones: list[str | None], name: str, method: str
) -> None:
    records = expected_records(*a_domain(name, method), RELAY)
    for finding in check(records, Anything(answers, zones), Foreign()):
        assert (finding.fault is None) == (not finding.advice)
        assert finding.fault is None or finding.fault in FAULTS
        assert finding.status == "verified" or finding.advice
        assert finding.advice.isprintable()
