"""DMARC records: read strictly, written so that they are read back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.domains.dmarc.record import Policy, is_dmarc, parse, record_for, report_address
from franking.domains.dmarc.stage import STAGES, above, below
from franking.domains.models import Domain
from franking.domains.records import RelayNames
from franking.reasons import Invalid

RELAY = RelayNames(reports="reports.relay.example")


def test_the_record_to_publish() -> None:
    domain = Domain(name="example.com", dmarc_stage="none", dmarc_token="f00d")
    assert record_for(domain, RELAY) == "v=DMARC1; p=none; rua=mailto:f00d@reports.relay.example"
    domain.dmarc_stage = "quarantine"
    assert record_for(domain, RelayNames()) == "v=DMARC1; p=quarantine"
    assert report_address(Domain(name="example.com", dmarc_stage="none"), RELAY) is None


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("v=DMARC1; p=none", Policy("none")),
        ("v=DMARC1;p=reject;", Policy("reject")),
        (" v = DMARC1 ; p = Reject ; sp=NONE", Policy("reject", "none")),
        ("v=DMARC1; pct=20; p=quarantine", Policy("quarantine", percent=20)),
        ("v=DMARC1; p=none; adkim=s; aspf=S", Policy("none", strict_dkim=True, strict_spf=True)),
        ("v=DMARC1; p=reject; t=y", Policy("reject", testing=True)),
        ("v=DMARC1; p=none; fo=1; x_y=z", Policy("none", others=(("fo", "1"), ("x_y", "z")))),
        (
            "v=DMARC1; p=none; rua=mailto:a@b.example!10m , https://c.example/d",
            Policy("none", rua=("mailto:a@b.example!10m", "https://c.example/d")),
        ),
    ],
)
def test_records_that_are_right(text: str, policy: Policy) -> None:
    assert parse(text) == policy
    assert parse(str(policy)) == policy


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with v=DMARC1"),
        ("v=spf1 -all", "begins with v=DMARC1"),
        ("v=dmarc1; p=none", "begins with v=DMARC1"),
        ("v=DMARC1 p=none", "begins with v=DMARC1"),
        ("p=none; v=DMARC1", "begins with v=DMARC1"),
        ("v=DMARC1", "has no p="),
        ("v=DMARC1; sp=none", "has no p="),
        ("v=DMARC1; p=monitor", "write p=none or p=quarantine or p=reject"),
        ("v=DMARC1; p=none; sp=all", "sp=all is not possible"),
        ("v=DMARC1; p=none; p=reject", "has p= twice"),
        ("v=DMARC1; p=none; reject", "'reject' is not tag=value"),
        ("v=DMARC1; p=none; rua=a@b.example", "written mailto:name@example.com"),
        ("v=DMARC1; p=none; rua=mailto:a@b.example mailto:c@d.example", "separated by commas"),
        ("v=DMARC1; p=none; rua=mailto:a@b.example,", "written mailto"),
        ("v=DMARC1; p=none; ruf=mailto:", "ruf has"),
        ("v=DMARC1; p=none; pct=101", "from 0 to 100"),
        ("v=DMARC1; p=none; pct=٣", "from 0 to 100"),
        ("v=DMARC1; p=none; adkim=x", "adkim=r or adkim=s"),
        ("v=DMARC1; p=none; x=" + "y" * 5000, "more than 4096"),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        parse(text)


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("v=DMARC1; p=reject", "reject"),
        ("v=DMARC1; p=reject; pct=100", "reject"),
        ("v=DMARC1; p=reject; pct=99", "quarantine"),
        ("v=DMARC1; p=quarantine; pct=0", "none"),
        ("v=DMARC1; p=quarantine; t=y", "none"),
        ("v=DMARC1; p=none; pct=50", "none"),
    ],
)
def test_a_policy_for_some_of_the_mail_is_not_that_stage(text: str, stage: str) -> None:
    assert parse(text).stage == stage


def test_the_next_record_keeps_what_is_the_customer_s() -> None:
    present = parse("v=DMARC1; p=none; sp=none; rua=mailto:own@example.com; fo=1; pct=10; adkim=s")
    following = present.at("quarantine").reporting_to("mailto:f00d@reports.relay.example")
    assert str(following) == (
        "v=DMARC1; p=quarantine; sp=none; adkim=s; fo=1".replace(
            " adkim", " rua=mailto:own@example.com,mailto:f00d@reports.relay.example; adkim"
        )
    )
    again = following.reporting_to("mailto:F00D@reports.relay.example")
    assert again == following


def test_stages_are_in_order() -> None:
    assert [above(stage) for stage in STAGES] == ["quarantine", "reject", None]
    assert [below(stage) for stage in STAGES] == ["none", "none", "quarantine"]


@given(st.text(max_size=200))
def test_nothing_else_is_raised(text: str) -> None:
    for tried in (text, f"v=DMARC1; {text}", f"v=DMARC1; p=none; rua={text}"):
        try:
            assert parse(str(parse(tried))) == parse(tried)
        except Invalid as why:
            assert str(why)
        assert is_dmarc(tried) in (True, False)
