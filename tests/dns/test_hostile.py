"""What strangers may ask for, and answer with; and many askers at once."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import dns.flags
import dns.message
import pytest
from dns import rdata
from hypothesis import given
from hypothesis import strategies as st

from franking.dns import remembered
from franking.dns.question import PATIENCE
from tests.dns import world
from tests.dns.endpoint import Endpoint
from tests.dns.fakedns import FakeDns
from tests.dns.world import lookups


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("a..shop.test", "TXT"),
        ("x" * 64 + ".test", "TXT"),
        (".".join(["x" * 60] * 5), "TXT"),
        ("ü" * 60 + ".test", "TXT"),
        ("\ud800.test", "TXT"),
        ("a b.test", "TXT"),
        ("a\0.test", "TXT"),
        ("a\\.b.test", "TXT"),
        ("a\\999.test", "TXT"),
        ("a.shop.test", "NOTYPE"),
        ("a.shop.test", ""),
    ],
)
def test_what_cannot_be_asked_is_trouble(name: str, type: str) -> None:
    with FakeDns({"shop.test": ""}) as server:
        lookup = lookups(server, port=server.port)
        answers = [
            lookup.authoritative(name, type),
            lookup.in_zone("shop.test", name, type),
            *lookup.resolved(name, type),
        ]
        assert [each.status for each in answers] == ["trouble"] * 3
        assert all(each.problem.startswith("not a ") for each in answers), answers
        assert not server.asked


@given(st.text(max_size=300), st.sampled_from(["TXT", "CNAME", "ANY", "AXFR", "OPT", "TYPE0"]))
def test_no_name_raises(name: str, type: str) -> None:
    lookup = lookups("127.0.0.1@1", port=1, timeout=0.05)
    assert lookup.authoritative(name, type).status == "trouble"
    assert lookup.resolved(name, type)[0].status == "trouble"
    assert lookup.zone_of(name) is None


class Forger(Endpoint):
    """Says over TCP whatever it was told to, as if it were the answer."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0, self._forged)
        self.tail = b""
        self.counts = (1, 1, 1, 1)

    def _forged(self, wire: bytes, *, tcp: bool) -> tuple[bytes | None, float]:
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if not tcp:
            response.flags |= dns.flags.TC
            return response.to_wire(), 0.0
        response.use_edns(False)
        reply = bytearray(response.to_wire())
        for place, number in enumerate(self.counts):
            reply[4 + 2 * place : 6 + 2 * place] = number.to_bytes(2, "big")
        return bytes(reply) + self.tail, 0.0


@pytest.fixture(scope="module")
def forger() -> Iterator[Forger]:
    with Forger() as server:
        yield server


NAMES = st.sampled_from(
    [b"\xc0\x0c", b"\0", b"\x01a\xc0\x0c", b"\xc0\xff", b"\x01\0\0", b"\x01.\xc0\x0c", b"\x3f"]
)
TYPES = st.sampled_from([1, 2, 5, 6, 12, 15, 16, 28, 39, 41, 46, 255])


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """One, more or less; often with a name in its data, often with a wrong length."""
    data = draw(st.binary(max_size=20)) if draw(st.booleans()) else draw(NAMES)
    length = draw(st.sampled_from([len(data), len(data), 0, 65_535]))
    type, kind = draw(TYPES), draw(st.sampled_from([1, 1, 3, 255]))
    head = struct.pack("!HHIH", type, kind, draw(st.integers(0, 2**32 - 1)), length)
    return draw(NAMES) + head + data


@given(
    st.lists(records(), max_size=4).map(b"".join) | st.binary(max_size=60),
    st.tuples(st.just(1), *[st.integers(0, 3)] * 3),
    st.sampled_from(["TXT", "CNAME", "MX", "SOA", "A"]),
)
def test_no_answer_raises(
    forger: Forger, tail: bytes, counts: tuple[int, int, int, int], type: str
) -> None:
    forger.tail, forger.counts = tail, counts
    lookup = lookups(f"127.0.0.1@{forger.port}", port=forger.port, timeout=0.3)
    for answer in [*lookup.resolved("shop.test", type), lookup.authoritative("shop.test", type)]:
        assert (answer.status == "found") == bool(answer.values)
        assert answer.status != "trouble" or answer.problem
    lookup.zone_of("x.shop.test")


@pytest.mark.parametrize("kind", [3, 254, 255, 4711])
def test_another_class_is_not_let_in(forger: Forger, kind: int) -> None:
    """dnspython would remember for the process that it cannot read such records, for `ANY` (255)
    also those of the Internet; and how many classes there are is the stranger's choice."""
    remembered_before = set(rdata._rdata_classes)
    forger.tail = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", type, kind, 300, 0) for type in range(0xFF00, 0xFF10)
    )
    forger.counts = (1, 0, 0, 16)
    lookup = lookups(f"127.0.0.1@{forger.port}", port=forger.port)
    (answer,) = lookup.resolved("shop.test", "AAAA")
    assert answer.problem == "an answer that cannot be read"
    assert set(rdata._rdata_classes) == remembered_before


def test_a_zone_cannot_keep_us_waiting() -> None:
    """However many servers it has that say nothing."""
    numbers = range(1, 9)
    text = "\n".join(f"@ NS ns{n}\nns{n} A 127.0.1.{n}" for n in numbers)
    with FakeDns({"shop.test": text}) as resolver, ExitStack() as stack:
        silent = [
            stack.enter_context(
                FakeDns({}, address=f"127.0.1.{n}", port=resolver.port, faults={".": "silence"})
            )
            for n in numbers
        ]
        lookup = lookups(resolver, port=resolver.port, timeout=0.2)
        assert lookup.authoritative("a.shop.test", "TXT").status == "trouble"
    assert 0 < sum(server.asked.total() for server in silent) <= PATIENCE


def test_many_at_once() -> None:
    """One object for all; each gets its own answer."""
    domains = [f"d{n}.test" for n in range(40)]
    with world.true({name: f"a TXT {name}\nb CNAME a" for name in domains}) as made:

        def values(n: int) -> tuple[str, ...]:
            name = f"{'ab'[n % 2]}.{domains[n % 40]}"
            if n % 3:
                return made.lookup.authoritative(name, "TXT").values
            return made.lookup.resolved(name, "TXT")[0].values

        with ThreadPoolExecutor(200) as pool:
            for n, found in enumerate(pool.map(values, range(600))):
                assert found == (domains[n % 40],)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wildcards make as many zones and hosts as somebody likes."""
    monkeypatch.setattr(remembered, "ROOM", 20)
    with FakeDns({"shop.test": "* TXT x"}) as server:
        lookup = lookups(server, port=server.port)
        for n in range(50):
            assert lookup.zone_of(f"n{n}.shop.test") == "shop.test"
        server.asked.clear()
        lookup.zone_of("n49.shop.test")
        assert not server.asked
        lookup.zone_of("n0.shop.test")
        assert server.asked.total() == 1
