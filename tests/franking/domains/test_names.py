"""Domain names in the one form that is compared."""

import pytest

from franking.domains.names import to_ascii, to_unicode
from franking.reasons import Invalid


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("ＥＸＡＭＰＬＥ.com", "example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_normal_form(given: str, stored: str) -> None:
    assert to_ascii(given) == stored


@pytest.mark.parametrize(
    "name",
    ["", "com", "a..b", "-a.com", "a_b.com", "a b.com", "1.2.3.4", "a" * 64 + ".com",
     "a.com/../b", "exa\u0000mple.com", ".".join(["a" * 60] * 5), "exam\u200bple.co m"],
)  # fmt: skip
def test_refused(name: str) -> None:
    with pytest.raises(Invalid):
        to_ascii(name)


def test_for_display() -> None:
    assert to_unicode("xn--bcher-kva.example") == "bücher.example"
    assert to_unicode("xn--broken-.example") == "xn--broken-.example"
