"""The zone file is one that DNS software reads, and says what it is."""

from __future__ import annotations

import dns.name
import dns.zone
import pytest
from dns.rdatatype import RdataType

from franking.domains.records import Record, expected_records
from franking.domains.zonefile import zone_text
from tests.franking.domains.zonecases import RELAY, a_domain


@pytest.fixture(params=["txt", "cname"])
def records(request: pytest.FixtureRequest) -> list[Record]:
    return expected_records(*a_domain("mail.shop.test", request.param), RELAY)


@pytest.mark.parametrize("origin", [None, "shop.test"])
def test_it_says_the_records_again(records: list[Record], origin: str | None) -> None:
    text = zone_text(records, origin=origin)
    assert text.startswith(f"$ORIGIN {origin or 'mail.shop.test'}.\n")
    read = dns.zone.from_text(text, check_origin=False, relativize=False)
    assert len(list(read.iterate_rdatas())) == len(records)
    for record in records:
        (rdata,) = (found := read.get_rdataset(dns.name.from_text(record.name), record.type)) or ()
        assert found is not None and found.ttl == record.ttl
        if found.rdtype == RdataType.TXT:
            assert tuple(string.decode() for string in rdata.strings) == record.strings
        else:
            assert str(rdata.target) == f"{record.value}."


def test_comments_say_what_each_is_for(records: list[Record]) -> None:
    text = zone_text(records)
    for record in records:
        need = "required" if record.required else "advised"
        assert f", {need}: {record.why}\n{record.relative_name} 3600 IN {record.type} " in text


def test_a_name_outside_the_zone_is_written_in_full() -> None:
    record = Record("spf", "mail.shop.test", "TXT", "v=spf1 -all", why="One\nline.")
    assert zone_text([record], origin="other.test") == (
        "$ORIGIN other.test.\n\n; SPF, required: One line.\n"
        'mail.shop.test. 3600 IN TXT "v=spf1 -all"\n'
    )
    assert zone_text([]) == ""
