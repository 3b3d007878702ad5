"""SPF records: their grammar, merging into one, and what one costs (RFC 7208)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.dns.answers import Answer
from franking.domains.checks.lookups import CEILING, lookups, tree
from franking.domains.checks.spf import combined, merged
from franking.domains.checks.terms import invalid, is_spf, mechanisms, parse

OURS = "include:spf.relay.test"


@pytest.mark.parametrize(
    ("text", "spf"),
    [
        ("v=spf1", True),
        ("V=SPF1 -all", True),
        ("v=spf1  mx", True),
        ("v=spf10 -all", False),
        ("v=spf1;-all", False),
        (" v=spf1 -all", False),
        ("spf2.0/pra -all", False),
        ("v=spf1\t-all", False),
        ("", False),
    ],
)
def test_what_is_an_spf_record(text: str, spf: bool) -> None:
    assert is_spf(text) is spf


@pytest.mark.parametrize(
    "term",
    ["all", "-all", "~ALL", "?all", "include:a.test", "include:_spf.a.test", "+a", "a/24", "a//64",
     "a/24//64", "a:mail.a.test/28", "mx", "mx:a.test", "ptr", "ptr:a.test", "ip4:192.0.2.1",
     "ip4:192.0.2.0/24", "ip6:2001:db8::/32", "exists:%{i}._spf.%{d2}", "include:%{d}",
     "redirect=_spf.a.test", "exp=explain.a.test", "unknown=anything", "include=a.test",
     "include:a.test."],
)  # fmt: skip
def test_terms(term: str) -> None:
    assert not list(invalid(parse(f"v=spf1 {term}")))


@pytest.mark.parametrize(
    "term",
    ["ipv4:192.0.2.1", "ip4:192.0.2.0/33", "ip4:192.0.2.256", "ip4:192.0.2.0/255.255.255.0",
     "ip4:2001:db8::1", "ip6:192.0.2.1", "ip4", "include", "include:", "include:a",
     "include:a..test", "include:192.0.2.1", "include:a.testinclude:b.test", "all:a.test", "a:",
     "a/33", "a/24/64", "a:a.test/x", "ptr:", "exists", "-", "all-", "include:a.test,",
     "mx,", "redirect=", "redirect=a", "–all", "“include:a.test”"],
)  # fmt: skip
def test_no_terms(term: str) -> None:
    assert [found.text for found in invalid(parse(f"v=spf1 mx {term} -all"))] == [term]


def test_two_redirects_are_an_error() -> None:
    terms = parse("v=spf1 redirect=a.test redirect=b.test exp=a.test")
    assert [term.text for term in invalid(terms)] == ["redirect=b.test"]


@pytest.mark.parametrize(
    ("existing", "wanted", "result"),
    [
        ("v=spf1 -all", OURS, f"v=spf1 {OURS} -all"),
        ("v=spf1 mx a:x.test ~all", OURS, f"v=spf1 mx a:x.test {OURS} ~all"),
        ("V=SPF1  mx   ?all", OURS, f"v=spf1 mx {OURS} ?all"),
        ("v=spf1 mx", OURS, f"v=spf1 mx {OURS}"),
        (f"v=spf1 {OURS.upper()} -all", OURS, f"v=spf1 {OURS.upper()} -all"),
        (f"v=spf1 +{OURS} -all", OURS, f"v=spf1 +{OURS} -all"),
        (f"v=spf1 -{OURS} mx ~all", OURS, f"v=spf1 mx {OURS} ~all"),
        (f"v=spf1 mx -all {OURS}", OURS, f"v=spf1 mx {OURS} -all"),
        ("v=spf1 mx -all ~all", OURS, f"v=spf1 mx {OURS} -all"),
        ("v=spf1 mx mx -all", OURS, f"v=spf1 mx {OURS} -all"),
        ("v=spf1 redirect=x.test", OURS, f"v=spf1 {OURS} redirect=x.test"),
        ("v=spf1 exp=x.test mx -all", OURS, f"v=spf1 mx {OURS} -all exp=x.test"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "ip4:192.0.2.7", "v=spf1 ip4:192.0.2.0/24 -all"),
        ("v=spf1 -ip4:192.0.2.0/24 -all", "ip4:192.0.2.7",
         "v=spf1 -ip4:192.0.2.0/24 ip4:192.0.2.7 -all"),
        ("v=spf1 ip6:2001:db8::/32 -all", "ip4:192.0.2.7 ip6:2001:DB8::1",
         "v=spf1 ip6:2001:db8::/32 ip4:192.0.2.7 -all"),
        ("v=spf1 typo mx -all", OURS, f"v=spf1 typo mx {OURS} -all"),
        ("v=spf1 -all", f"v=spf1 {OURS} -all", f"v=spf1 {OURS} -all"),
    ],
)  # fmt: skip
def test_merged(existing: str, wanted: str, result: str) -> None:
    assert merged(existing, wanted) == result


def test_several_records_become_one() -> None:
    """The stricter `all` counts as much as any, but never `+all`; a redirect becomes an include."""
    texts = ["v=spf1 mx +all", "v=spf1 redirect=a.test", "v=spf1 mx ip4:192.0.2.1 ~all"]
    assert combined(texts, OURS) == f"v=spf1 mx include:a.test ip4:192.0.2.1 {OURS} ~all"


QUALIFIER = st.sampled_from(["", "+", "-", "~", "?"])
HOST = st.sampled_from(["spf.relay.test", "a.test", "b.a.test", "_spf.c.test"])
MECHANISM = st.one_of(
    st.builds("{}include:{}".format, QUALIFIER, HOST),
    st.builds("{}a:{}".format, QUALIFIER, HOST),
    st.builds("{}{}".format, QUALIFIER, st.sampled_from(["a", "mx", "mx/24", "ptr", "all"])),
    st.builds("{}ip4:192.0.2.{}/{}".format, QUALIFIER, st.integers(0, 255), st.integers(0, 32)),
    st.builds("{}ip6:2001:db8::{:x}".format, QUALIFIER, st.integers(0, 65535)),
)
MODIFIER = st.sampled_from([[], ["redirect=r.test"], ["exp=e.test", "x=y"]])
RECORD = st.builds(
    lambda terms, last, blank: blank.join(["v=spf1", *terms, *last]),
    st.lists(MECHANISM, max_size=8), MODIFIER, st.sampled_from([" ", "  "]),
)  # fmt: skip
WANTED = st.lists(
    st.sampled_from([OURS, "ip4:192.0.2.5", "ip6:2001:db8::7", "a:b.a.test"]),
    min_size=1, max_size=3, unique=True,
)  # fmt: skip


@given(RECORD, WANTED)
def test_merging_keeps_everything_and_adds_us_once(existing: str, wanted: list[str]) -> None:
    result = merged(existing, " ".join(wanted))
    before, after = parse(existing), parse(result)
    assert is_spf(result) and not list(invalid(after))
    ours = mechanisms(" ".join(wanted))
    for term in mechanisms(existing):
        doubtful = not term.passes and any(term.same_as(mine) for mine in ours)
        assert doubtful or any(term.text == kept.text for kept in after)
    for mine in ours:
        assert any(term.covers(mine) for term in after if term.name != "all")
        assert sum(term.same_as(mine) and term.passes for term in after) <= max(
            1, len({term.text for term in before if term.same_as(mine) and term.passes})
        )
    ends = [term.qualifier for term in after if term.name == "all"]
    given_ends = [term.qualifier for term in before if term.name == "all"]
    assert len(ends) == min(len(given_ends), 1) and set(ends) <= set(given_ends)
    assert not ends or [term for term in after if not term.is_modifier][-1].name == "all"
    assert [t.text for t in before if t.is_modifier] == [t.text for t in after if t.is_modifier]
    assert merged(result, " ".join(wanted)) == result


@given(st.text(max_size=300), st.lists(st.text(max_size=300), max_size=3))
def test_strangers_texts_are_no_trouble(existing: str, more: list[str]) -> None:
    for text in (existing, f"v=spf1 {existing}"):
        list(invalid(parse(text)))
        assert is_spf(combined([text, *more], OURS))
        tree(text, _nothing, "shop.test")


def _nothing(name: str, type: str) -> Answer:
    return Answer(name, type, "nxdomain")


class Told:
    """A resolver of these records, name and type in one."""

    def __init__(self, **records: str) -> None:
        self.records = {key.replace("_", " ").replace("0", "."): records[key] for key in records}
        self.asked: list[str] = []

    def __call__(self, name: str, type: str) -> Answer:
        self.asked.append(f"{name} {type}")
        value = self.records.get(f"{name} {type}")
        if value is None:
            return Answer(name, type, "nxdomain")
        if value == "trouble":
            return Answer(name, type, "trouble", problem="silence")
        return Answer(name, type, "found", (value,))


@pytest.mark.parametrize(
    ("record", "count"),
    [
        ("v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 all", 0),
        ("v=spf1 a mx ptr exists:a0b include:plain0test -all", 5),
        ("v=spf1 include:plain.test -all", 1),
        ("v=spf1 include:outer.test -all", 3),
        ("v=spf1 include:outer.test include:outer.test -all", 6),
        ("v=spf1 redirect=outer.test", 3),
        ("v=spf1 redirect=outer.test -all", 0),
        ("v=spf1 -all include:outer.test", 0),
        ("v=spf1 exists:%{i}.x.test include:%{d}.x.test a:%{d} -all", 3),
        ("v=spf1 include:gone.test -all", 1),
        ("v=spf1 exp=outer.test -all", 0),
    ],
)
def test_lookups(record: str, count: int) -> None:
    ask = Told(
        plain0test_TXT="v=spf1 ip4:192.0.2.1 -all",
        outer0test_TXT="v=spf1 include:plain.test mx -all",
        outer0test_MX="10 mx.outer.test",
    )
    record = record.replace("a0b", "a.test").replace("plain0test", "plain.test")
    assert lookups(record, ask, "shop.test") == count


def test_what_cannot_be_looked_up_is_not() -> None:
    ask = Told()
    found = tree("v=spf1 exists:%{i}.x.test include:%{d}.x.test a:%{d}/24 ptr -all", ask, "a.test")
    assert ask.asked == [] and found.voids == [] and found.lookups == 4


def test_void_lookups_are_names_without_records() -> None:
    ask = Told(here0test_AAAA="2001:db8::1", silent0test_A="trouble")
    found = tree("v=spf1 a:here.test a:gone.test mx a:silent.test -all", ask, "shop.test")
    assert found.voids == ["gone.test", "shop.test"]
    assert [answer.name for answer in found.trouble] == ["silent.test"]


def test_us_behind_an_include_counts_only_if_it_passes() -> None:
    ask = Told(a0test_TXT=f"v=spf1 {OURS} -all", spf0relay0test_TXT="v=spf1 ip4:192.0.2.1 -all")
    (ours,) = mechanisms(OURS)
    assert tree("v=spf1 include:a.test -all", ask, "shop.test").covers(ours)
    assert tree("v=spf1 redirect=a.test", ask, "shop.test").covers(ours)
    assert not tree("v=spf1 ?include:a.test -all", ask, "shop.test").covers(ours)
    assert not tree("v=spf1 -all include:a.test", ask, "shop.test").covers(ours)


def test_nobody_counts_without_end() -> None:
    """Each record includes two new ones."""
    asked = []

    def ask(name: str, type: str) -> Answer:
        asked.append(name)
        return Answer(name, type, "found", (f"v=spf1 include:l.{name} include:r.{name} -all",))

    found = tree("v=spf1 include:x.test -all", ask, "shop.test")
    assert found.lookups == CEILING and len(asked) <= CEILING
    wide = "v=spf1 " + " ".join(f"a:{n}.test" for n in range(5000))
    assert tree(wide, ask, "shop.test").lookups == CEILING
