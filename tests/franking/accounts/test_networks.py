"""Source addresses, however they are written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.accounts import networks
from franking.reasons import Invalid


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        (" 192.0.2.0/24 ", "192.0.2.0/24"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::FFFF:192.0.2.7", "192.0.2.7/32"),
    ],
)
def test_one_form(written: str, stored: str) -> None:
    assert networks.network(written) == stored
    assert networks.network(stored) == stored


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "is no network"),
        ("office", "is no network"),
        ("192.0.2.0/33", "is no network"),
        ("192.0.2.7/24", "write 192.0.2.0/24"),
        ("2001:db8::1/64", "write 2001:db8::/64"),
        ("0.0.0.0/0", "every address"),
        ("::/0", "every address"),
        ("::ffff:0:0/96", "every address"),
    ],
)
def test_what_is_refused(written: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        networks.network(written)


@pytest.mark.parametrize(
    ("client", "listed"),
    [
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("::ffff:192.0.2.7", True),
        ("::ffff:192.0.3.7", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("unknown", False),
        ("", False),
        (None, False),
    ],
)
def test_on_list(client: str | None, listed: bool) -> None:
    assert networks.on_list(client, ["192.0.2.0/24", "2001:db8::/32"]) is listed


@given(st.ip_addresses(v=4), st.integers(1, 32))
def test_both_forms_of_an_ipv4_client_are_one(client: IPv4Address, length: int) -> None:
    own = str(ip_network((client, length), strict=False))
    mapped = IPv6Address(0xFFFF_0000_0000 + int(client))
    for form in (str(client), str(mapped), mapped.exploded):
        assert networks.on_list(form, [own])
        assert str(networks.address(form)) == str(client)
