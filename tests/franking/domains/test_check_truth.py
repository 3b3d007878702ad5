"""From nothing to green with a real name server and a real resolver: Knot behind Unbound."""

from __future__ import annotations

from collections import Counter

import pytest

from franking.domains.checks import check
from franking.domains.records import expected_records
from franking.domains.zonefile import zone_text
from tests.dns.knot import Knot
from tests.dns.unbound import Unbound
from tests.dns.world import lookups
from tests.franking.domains.zonecases import RELAY, a_domain, world


@pytest.mark.parametrize("method", ["txt", "cname"])
def test_the_zone_file_as_it_is_given_makes_everything_green(method: str) -> None:
    records = expected_records(*a_domain("mail.shop.test", method), RELAY)
    with Knot({"shop.test": "www A 192.0.2.80", **world()}) as knot, Unbound(knot.port) as resolver:
        lookup = lookups(resolver, port=knot.port)

        def statuses() -> Counter[str]:
            return Counter(finding.status for finding in check(records, lookup))

        assert statuses() == {"missing": len(records)}
        for record in records:  # now the resolver remembers that there is nothing
            lookup.resolved(record.name, record.type)
        knot.set_zone("shop.test", zone_text(records, origin="shop.test"))
        assert statuses() == {"pending": len(records)}
        resolver.flush()
        assert statuses() == {"verified": len(records)}
