"""Tags and metadata in the dialects of other services (their documentation is the reference)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milterd import labels
from milterd.labels import Labels

OURS = "X-Franking-Tags"
Headers = list[tuple[bytes, bytes]]


def smtpapi(**values: object) -> Headers:
    return [(b"X-SMTPAPI", b" " + json.dumps(values).encode())]


def msys(**values: object) -> Headers:
    return [(b"X-MSYS-API", b" " + json.dumps(values).encode())]


@pytest.mark.parametrize(
    ("headers", "tags"),
    [
        pytest.param([(b"From", b" a@b.example"), (b"Subject", b" x")], [], id="none"),
        pytest.param([(b"X-Franking-Tags", b' "a, b c"')], ["a", "b c"], id="ours"),
        pytest.param([(b"X-MailerSend-Tags", b' "tag 1, tag 2"')], ["tag 1", "tag 2"], id="S4-6"),
        pytest.param([(b"X-PM-Tag", b" welcome-email")], ["welcome-email"], id="Postmark"),
        pytest.param(
            [(b"X-Mailgun-Tag", b" a"), (b"X-Mailgun-Tag", b" b")], ["a", "b"], id="Mailgun"
        ),
        pytest.param([(b"x-postal-tag", b" invoice")], ["invoice"], id="Postal"),
        pytest.param([(b"X-Tag", b" a"), (b"X-Tag", b" b")], ["a", "b"], id="Symfony"),
        pytest.param([(b"X-Tag", b" a, b")], ["a, b"], id="one header is one tag"),
        pytest.param([(b"X-Tag", b" =?utf-8?Q?Pass_w=C3=B6rter?=")], ["Pass wörter"], id="encoded"),
        pytest.param([(b"X-Tag", b" ")], [], id="empty"),
        pytest.param(smtpapi(category="a"), ["a"], id="SendGrid, text"),
        pytest.param(smtpapi(category=["a", "b"]), ["a", "b"], id="SendGrid, list"),
        pytest.param(smtpapi(category=["カテゴリ"]), ["カテゴリ"], id="SendGrid, escaped"),
        pytest.param(smtpapi(filters={"footer": {"settings": {}}}), [], id="settings"),
        pytest.param(
            [(b"X-SMTPAPI", b' {"category":\n ["a",\n\t"b"]}')], ["a", "b"], id="SendGrid, folded"
        ),
        pytest.param(msys(tags=["cat", "dog"], campaign_id="c"), ["cat", "dog"], id="SparkPost"),
        pytest.param(
            [(b"X-Tag", b" a"), *smtpapi(category=["a", "b"])], ["a", "b"], id="two dialects"
        ),
    ],
)
def test_tags(headers: Headers, tags: list[str]) -> None:
    assert labels.read(headers, OURS) == (Labels(tags, {}), [])


@pytest.mark.parametrize(
    ("headers", "metadata"),
    [
        pytest.param([(b"X-Franking-Metadata-Order", b" 7")], {"Order": "7"}, id="ours"),
        pytest.param([(b"X-Metadata-Client-ID", b" 12345")], {"Client-ID": "12345"}, id="Symfony"),
        pytest.param([(b"X-PM-Metadata-color", b" blue")], {"color": "blue"}, id="Postmark"),
        pytest.param([(b"X-Metadata-a", b" ")], {"a": ""}, id="an empty value"),
        pytest.param(
            [(b"X-Metadata-a", b" =?utf-8?q?K=C3=A4se?=\n =?utf-8?q?brot?=")],
            {"a": "Käsebrot"},
            id="encoded and folded",
        ),
        pytest.param(
            [(b"X-Mailgun-Variables", b' {"my-id": 7, "on": true, "none": null, "t": "x"}')],
            {"my-id": "7", "on": "true", "none": "", "t": "x"},
            id="Mailgun",
        ),
        pytest.param(
            [(b"X-Mailgun-Variables", b' {"a": "1"}'), (b"X-Mailgun-Variables", b' {"b": "2"}')],
            {"a": "1", "b": "2"},
            id="Mailgun, two",
        ),
        pytest.param(smtpapi(unique_args={"order": "7"}), {"order": "7"}, id="SendGrid"),
        pytest.param(smtpapi(unique_args={}), {}, id="SendGrid, none"),
        pytest.param(msys(metadata={"has_pets": True}), {"has_pets": "true"}, id="SparkPost"),
        pytest.param(
            [(b"X-Metadata-a", b"1"), (b"X-PM-Metadata-a", b"2")], {"a": "2"}, id="the last counts"
        ),
        pytest.param([(b"X-Metadata-" + b"k" * 40, b"v" * 200)], {"k" * 40: "v" * 200}, id="edges"),
        pytest.param(
            [(b"X-Metadata-%d" % n, b"v") for n in range(10)],
            {str(n): "v" for n in range(10)},
            id="ten",
        ),
    ],
)
def test_metadata(headers: Headers, metadata: dict[str, str]) -> None:
    assert labels.read(headers, OURS) == (Labels([], metadata), [])


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        pytest.param([(b"X-Tag", b" %d" % n) for n in range(6)], "has 6 tags", id="six tags"),
        pytest.param(
            [(b"X-Franking-Tags", b" a,b,c"), (b"X-PM-Tag", b" d"), *smtpapi(category=["e", "f"])],
            "the message has 6 tags",
            id="six in three dialects",
        ),
        pytest.param([(b"X-Tag", b" " + b"x" * 65)], "X-Tag is longer than 64", id="a long tag"),
        pytest.param(smtpapi(category=["a\nb\x00"]), "cannot be printed", id="a NUL in JSON"),
        pytest.param([(b"X-SMTPAPI", b' {"category": ["\\ud800"]}')], "list of texts", id="half"),
        pytest.param(smtpapi(category={"a": 1}), "list of texts", id="tags are an object"),
        pytest.param(msys(tags=[["a"]]), "list of texts", id="a list in a list"),
        pytest.param(smtpapi(unique_args=["a"]), "not a JSON object", id="metadata is a list"),
        pytest.param(smtpapi(unique_args={"a": {}}), "neither text nor a number", id="an object"),
        pytest.param([(b"X-SMTPAPI", b" {")], "X-SMTPAPI is not a JSON object", id="broken"),
        pytest.param([(b"X-SMTPAPI", b" ")], "X-SMTPAPI is not a JSON object", id="empty"),
        pytest.param([(b"X-MSYS-API", b" [1]")], "X-MSYS-API is not a JSON object", id="a list"),
        pytest.param([(b"X-MSYS-API", b' {"metadata": NaN}')], "not a JSON object", id="NaN"),
        pytest.param([(b"X-SMTPAPI", b"[" * 16_000)], "not a JSON object", id="deep"),
        pytest.param([(b"X-SMTPAPI", b"1" * 6_000)], "not a JSON object", id="a long number"),
        pytest.param([(b"X-SMTPAPI", b" " * 16_385)], "longer than 16384", id="endless"),
        pytest.param(smtpapi(to=["a@b.example"]), "contains to which", id="SendGrid's recipients"),
        pytest.param(smtpapi(sub={"-n-": ["x"]}), "contains sub which", id="substitutions"),
        pytest.param(smtpapi(send_at=1), "contains send_at which", id="later"),
        pytest.param(msys(bcc=[{"email": "a@b.example"}]), "contains bcc which", id="SparkPost's"),
        pytest.param([(b"X-Metadata-", b"v")], "a metadata key", id="no key"),
        pytest.param([(b"X-Metadata-" + b"k" * 41, b"v")], "a metadata key", id="41 characters"),
        pytest.param([(b"X-Metadata-a", b"v" * 201)], "longer than 200", id="201 characters"),
        pytest.param([(b"X-Metadata-a", b"=?utf-8?q?=00?=")], "control", id="an encoded NUL"),
        pytest.param(
            [(b"X-Metadata-%d" % n, b"v") for n in range(11)], "more than 10", id="eleven"
        ),
        pytest.param(
            [(b"X-Metadata-%d" % n, "ä".encode() * 200) for n in range(10)],
            "longer than 2048 bytes",
            id="too much in all",
        ),
    ],
)
def test_bad(headers: Headers, words: str) -> None:
    found, errors = labels.read(headers, OURS)
    assert found == Labels()
    assert len(errors) == 1
    assert words in errors[0]
    assert "," not in errors[0]


def test_a_key_with_a_comma_makes_no_second_clause() -> None:
    _, errors = labels.read([(b"X-Metadata-a,b", b"v" * 201)], OURS)
    assert "," not in errors[0]


def test_the_brand_is_the_operators() -> None:
    headers = [(b"X-Acme-Labels", b" a"), (b"X-Acme-Metadata-K", b" v"), (b"X-Franking-Tags", b"b")]
    assert labels.read(headers, "X-Acme-Labels") == (Labels(["a"], {"K": "v"}), [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in (b"x-franking-tags", b"x-tag", b"x-pm-tag", b"x-smtpapi")),
        *((name, True) for name in (b"x-metadata-a", b"x-pm-metadata-", b"x-mailgun-variables")),
        *((name, True) for name in (b"x-idempotency-key", b"resend-idempotency-key")),
        *((name, False) for name in (b"subject", b"x-tags", b"x-pm-message-stream", b"x-a")),
    ],
)
def test_what_is_read_is_removed(name: bytes, expected: bool) -> None:
    assert labels.removable(OURS)(name) is expected


NAMES = st.sampled_from(
    [
        b"X-SMTPAPI",
        b"X-MSYS-API",
        b"X-Mailgun-Variables",
        b"X-Tag",
        b"X-Franking-Tags",
        b"X-PM-Metadata-k",
    ]
)
VALUES = st.one_of(
    st.binary(max_size=60),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps({"category": value, "tags": value, "metadata": value}).encode()),
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_whatever_stands_there_the_result_is_bounded(headers: Headers) -> None:
    found, errors = labels.read(headers, OURS)
    assert len(found.tags) <= 5
    assert sum(len(k.encode()) + len(v.encode()) for k, v in found.metadata.items()) <= 2_048
    assert not any("," in error or not error.isprintable() for error in errors)
    json.dumps([found.tags, found.metadata]).encode()
