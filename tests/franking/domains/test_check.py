"""Every status and every fault, from the zone files in tests/data/zones, by a real `Resolvers`."""

from __future__ import annotations

import re

import pytest

from franking.domains.checks.faults import FAULTS
from tests.franking.domains.zonecases import Case, cases

CASES = cases()
PORT = re.compile(r"@\d+")  # of a server in the tests


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_zone(case: Case) -> None:
    assert case.expected
    found = case.findings()
    for expected in case.expected:
        finding = found[expected.record]
        assert (finding.status, finding.fault) == (expected.status, expected.fault), finding
        assert PORT.sub("", finding.advice) == expected.advice


def test_every_status_and_every_fault_has_a_zone() -> None:
    expected = [expected for case in CASES for expected in case.expected]
    assert {each.fault for each in expected} == FAULTS | {None}
    assert {each.status for each in expected} == {
        "pending", "verified", "wrong", "missing", "temporary_failure",
    }  # fmt: skip
