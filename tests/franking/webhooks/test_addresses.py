"""What a customer may enter as an endpoint."""

from __future__ import annotations

import pytest

from franking.reasons import Invalid
from franking.webhooks.addresses import checked
from franking.webhooks.config import Webhooks


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://example.com", "https://example.com/"),
        ("  https://example.com:8443/hooks?key=1 ", "https://example.com:8443/hooks?key=1"),
        ("https://müller.de/ä", "https://xn--mller-kva.de/%C3%A4"),
        ("https://1.1.1.1/", "https://1.1.1.1/"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
    ],
)
def test_stored(given: str, stored: str) -> None:
    assert checked(given, Webhooks()) == stored


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("example.com/hook", "an address such as"),
        ("ftp://example.com/", "an address such as"),
        ("https://exa mple.com/", "an address such as"),
        ("https://example.com:99999/", "an address such as"),
        ("https://[fe80::1%25eth0]/", "an address such as"),
        ("https://example.com/" + "x" * 2000, "at most 2000 characters"),
        ("http://example.com/", "must begin with https://"),
        ("https://user:secret@example.com/", "put a token into the path"),
        ("https://user@example.com/", "put a token into the path"),
        ("https://example.com/#here", "behind # is never sent"),
        ("https://example.com:25/", "port 25 is not allowed, only 443, 8443"),
        ("https://127.0.0.1/", "not one of the public Internet"),
        ("https://127.0.0.1./", "not one of the public Internet"),
        ("https://2130706433/", "not one of the public Internet"),
        ("https://0x7f.1/", "not one of the public Internet"),
        ("https://０ｘ7f.1/", "not one of the public Internet"),
        ("https://[::ffff:10.0.0.1]/", "not one of the public Internet"),
        ("https://[::127.0.0.1]/", "not one of the public Internet"),
        ("https://169.254.169.254/latest", "not one of the public Internet"),
        ("https://localhost/", "not one of the public Internet"),
        ("https://intranet/", "not one of the public Internet"),
        ("https://metadata.google.internal/", "not one of the public Internet"),
    ],
)
def test_refused(given: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as refused:
        checked(given, Webhooks())
    assert set(refused.value.fields) == {"url"}


def test_a_laboratory_may_do_more() -> None:
    rules = Webhooks(allow_private=True, allow_http=True, ports=())
    assert checked("http://127.0.0.1:8000/x", rules) == "http://127.0.0.1:8000/x"
