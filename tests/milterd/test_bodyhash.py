"""However a body is cut, its hash is that of dkimpy's canonical form of the whole."""

from __future__ import annotations

import hashlib

import pytest
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from milterd.bodyhash import BodyHash

PIECES = (
    b"\r\n", b"\r\n\r\n", b" \r\n", b" ", b"\t", b"  ", b"a", b"bc", b"\r", b"\n", b"\xff",
    b"x" * 70,
)  # fmt: skip
BODIES = st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)


def fed(body: bytes, cuts: list[int]) -> BodyHash:
    hashing = BodyHash()
    start = 0
    for end in [*sorted(min(cut, len(body)) for cut in cuts), len(body)]:
        hashing.update(body[start:end])
        start = end
    return hashing


@given(BODIES, st.lists(st.integers(0, 200), max_size=8))
def test_equals_dkimpy_for_every_split(body: bytes, cuts: list[int]) -> None:
    hashing = fed(body, cuts)
    assert hashing.size == len(body)
    assert hashing.digest() == hashlib.sha256(Relaxed.canonicalize_body(body)).digest()


@pytest.mark.parametrize("length", [997, 998, 999, 1000, 1001])
@pytest.mark.parametrize("before", [b"", b"ab\r\n", b"ab\r\n" * 300])
@pytest.mark.parametrize("cut", [0, 5, 998, 999, 1000, 1001])
@pytest.mark.parametrize("after", [b"\r\n", b"\r\ntail\r\n"])
def test_a_line_above_998_octets_is_seen(
    length: int, before: bytes, cut: int, after: bytes
) -> None:
    hashing = fed(before + b"y" * length + after, [len(before) + cut])
    hashing.digest()
    assert hashing.too_long_line == (length > 998)


def test_one_endless_line_is_not_kept() -> None:
    hashing = BodyHash()
    for _ in range(100):
        hashing.update(b"z" * 65_535)
    assert hashing.too_long_line
    assert hashing.size == 6_553_500
    assert len(hashing._rest) <= 2 * 65_535
