"""Aggregate reports: what real receivers send, in every wrapping, and what nobody should send."""

from __future__ import annotations

import bz2
import gzip
import tracemalloc
import zipfile
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.domains.dmarc.reports import Limits, Unreadable, read_report
from tests.reports import CORPUS, RELAYED, Sent, mailed, xml, zipped

GZIP = gzip.compress(xml())
SMALL = Limits(longest=100_000, rows=50)


@pytest.mark.parametrize(
    ("file", "org", "rows"),
    [
        ("google.xml", "google.com", [(120, True, True), (3, False, False), (9, False, False)]),
        ("microsoft.xml", "Enterprise Outlook", [(41, True, True), (6, False, False)]),
        ("yahoo.xml", "Yahoo", [(17, True, False)]),
        ("fastmail.xml", "Fastmail Pty Ltd", [(5, True, False)]),
        ("mailru.xml", "Mail.Ru", [(2, True, True)]),
    ],
)
def test_every_receiver_s_shape_is_read(
    file: str, org: str, rows: list[tuple[int, bool, bool]]
) -> None:
    report = read_report((CORPUS / file).read_bytes())
    assert (report.org_name, report.domain) == (org, "example.com")
    assert report.begin_at == datetime(2026, 11, 4, tzinfo=UTC)
    assert [(r.messages, r.dkim_aligned, r.spf_aligned) for r in report.rows] == rows
    assert report.policy["p"] == "none"


def test_details_of_a_record() -> None:
    report = read_report((CORPUS / "microsoft.xml").read_bytes())
    row = report.rows[1]
    assert (row.source_ip, row.disposition) == ("40.107.22.57", "none")
    assert (row.header_from, row.envelope_from) == ("example.com", "example.onmicrosoft.com")
    assert [(each.domain, each.result) for each in row.dkim] == [
        ("example.onmicrosoft.com", "pass")
    ]
    assert row.dkim[0].selector == "selector1-example-onmicrosoft-com"
    assert report.messages == 47


@pytest.mark.parametrize(
    ("content", "kind", "name"),
    [
        (GZIP, "application/gzip", "report.xml.gz"),
        (GZIP, "application/x-gzip", "report.xml.gz"),
        (GZIP, "application/octet-stream", "report.xml.gz"),
        (GZIP, "application/zip", "wrong.zip"),
        (zipped(("r.xml", xml())), "application/zip", "report.zip"),
        (zipped(("r.xml", xml())), "application/x-zip-compressed", "report.zip"),
        (zipped(("r.xml", xml())), "application/gzip", "wrong.gz"),
        (zipped(("r.xml", xml()), method=zipfile.ZIP_STORED), "application/octet-stream", "r"),
        (zipped(("dir/", b""), ("dir/R.XML", xml())), "application/zip", "report.zip"),
        (zipped(("__MACOSX/r.xml", b"x"), ("r.xml", xml())), "application/zip", "report.zip"),
        (zipped(("report", xml())), "application/zip", "no-extension.zip"),
        (xml(), "text/xml", "report.xml"),
        (xml(), "application/xml", "report.xml"),
        (b"\xef\xbb\xbf" + xml(), "application/octet-stream", "with-a-mark.xml"),
        (
            xml(prolog='<?xml version="1.0" encoding="utf-16"?>').decode().encode("utf-16"),
            "text/xml",
            "utf-16.xml",
        ),
        (b"\r\n  " + xml(prolog=""), "text/xml", "space.xml"),
    ],
)
def test_every_wrapping_is_opened(content: bytes, kind: str, name: str) -> None:
    for data in (content, mailed(content, kind=kind, name=name)):
        assert read_report(data).rows[0].messages == RELAYED.count


def test_a_message_that_is_nothing_but_the_attachment() -> None:
    """As Google sends it: no multipart."""
    whole = mailed(GZIP)
    start = whole.index(b"Content-Type: application/gzip")
    end = whole.rindex(b"\n--")
    alone = b"From: <a@b.example>\nMIME-Version: 1.0\n" + whole[start:end]
    assert read_report(alone).report_id == "1"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"<org_name>receiver.example</org_name>", b"", "no org_name"),
        (b"<report_id>1</report_id>", b"<report_id> </report_id>", "no report_id"),
        (b"<begin>1793750400</begin>", b"", "date_range"),
        (b"<begin>1793750400</begin>", b"<begin>yesterday</begin>", "date_range"),
        (b"<begin>1793750400</begin>", b"<begin>1893750400</begin>", "date_range"),
        (b"<begin>1793750400</begin>", b"<begin>1</begin>", "date_range"),
        (b"<end>1793836799</end>", b"<end>99999999999</end>", "date_range"),
        (b"<domain>example.com</domain><p>", b"<p>", "no domain"),
        (b"<domain>example.com</domain><p>", b"<domain>a b</domain><p>", "no domain name"),
        (b"<count>100</count>", b"", "no count"),
        (b"<count>100</count>", b"<count>-1</count>", "no count"),
        (b"<count>100</count>", b"<count>1e3</count>", "no count"),
        (b"<count>100</count>", "<count>١</count>".encode(), "no count"),
        (b"<count>100</count>", b"<count>9999999999</count>", "counts more"),
        (b"<source_ip>192.0.2.25</source_ip>", b"", "source_ip"),
        (b"192.0.2.25", b"192.0.2.256", "source_ip"),
        (b"192.0.2.25", b"fe80::1%eth0", "source_ip"),
        (b"<feedback>", b"<html>feedback", "broken"),
        (b"</feedback>", b"", "broken"),
        (b"example.com", b"\xff\xfe", "broken"),
        (b'version="1.0"', b'version="1.0" encoding="klingon"', "encoding"),
    ],
)
def test_what_counts_must_be_right(old: bytes, new: bytes, why: str) -> None:
    assert old in xml()
    with pytest.raises(Unreadable, match=why):
        read_report(xml().replace(old, new, 1))


def test_what_does_not_count_may_vary() -> None:
    data = (
        xml()
        .replace(b"<disposition>none</disposition>", b"<disposition>Sampled_Out</disposition>")
        .replace(b"<dkim>pass</dkim>", b"<dkim>PASS</dkim><more><of>it</of></more>", 1)
        .replace(b"<header_from>example.com</header_from>", b"")
        .replace(b"<begin>1793750400</begin>", b"<begin>1793750400.0</begin>")
    )
    row = read_report(data).rows[0]
    assert (row.disposition, row.dkim_aligned, row.header_from) == ("none", True, "")


def test_a_record_without_messages_is_none() -> None:
    assert read_report(xml([Sent(0), Sent(2)])).messages == 2
    assert read_report(xml([])).rows == ()


def test_hostile_text_is_bounded_and_clean() -> None:
    evil = "&lt;script&gt;\u202e&#10;\x85" + "x" * 5000
    report = read_report(xml(org=evil, report_id=f" a\n\tb {evil}"))
    assert len(report.org_name) <= 255
    assert report.org_name.startswith("<script> x")
    assert report.report_id.startswith("a b <script>")
    assert report.org_name.isprintable()


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE feedback [<!ENTITY a "b">]>',
        '<!DOCTYPE feedback SYSTEM "http://evil.example/x.dtd">',
        '<!DOCTYPE feedback [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        "<!DOCTYPE feedback>",
    ],
)
def test_a_document_type_is_refused(prolog: str) -> None:
    with pytest.raises(Unreadable, match="document type"):
        read_report(xml(prolog=prolog, org="&a;" if "ENTITY" in prolog else "x"))


def test_depth_and_number_of_records_are_bounded() -> None:
    deep = b"<feedback>" + b"<a>" * 50_000
    with pytest.raises(Unreadable, match="elements within"):
        read_report(deep)
    wide = b"<feedback><a " + b"".join(b"a%d='' " % n for n in range(20_000)) + b"/>"
    with pytest.raises(Unreadable, match="tag without end"):
        read_report(wide)
    with pytest.raises(Unreadable, match="50 records"):
        read_report(xml([Sent()] * 51), SMALL)
    assert len(read_report(xml([Sent()] * 50), SMALL).rows) == 50


BOMB = b"<feedback>" + b" " * 20_000_000 + b"</feedback>"


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(BOMB), zipped(("bomb.xml", BOMB)), mailed(gzip.compress(BOMB))],
    ids=["gzip", "zip", "mail"],
)
def test_a_bomb_is_not_unpacked(packed: bytes) -> None:
    assert len(packed) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match="unpacked it is longer than 100000 octets"):
            read_report(packed, SMALL)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_zip_that_lies_about_its_size_is_not_believed() -> None:
    packed = bytearray(zipped(("bomb.xml", BOMB)))
    size = len(BOMB).to_bytes(4, "little")
    assert packed.count(size) == 2
    lying = bytes(packed).replace(size, (999).to_bytes(4, "little"))
    with pytest.raises(Unreadable):
        read_report(lying, SMALL)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (zipped(("a.xml", xml()), ("b.xml", xml())), "2 XML files"),
        (zipped(("a.txt", b"x"), ("b.txt", b"x")), "0 XML files"),
        (zipped(), "no report"),
        (zipped(*((f"{n}.xml", b"") for n in range(101))), "more than 100 files"),
        (zipped(("a.xml", xml()), method=zipfile.ZIP_BZIP2), "unusual"),
        (zipped(("a.xml", xml()), method=zipfile.ZIP_LZMA), "unusual"),
        (zipped(("a.xml", gzip.compress(xml()))), "XML is broken"),
        (zipped(("a.xml", xml()))[:-30], "zip is broken"),
        (GZIP[:-9], "cut off"),
        (GZIP[:20] + b"\0\0\0" + GZIP[23:], "gzip is broken"),
        (gzip.compress(b"hello"), "XML is broken"),
        (bz2.compress(xml()), "no report"),
        (zlib.compress(xml()), "no report"),
        (b"", "no report"),
        (b"\0" * 1000, "no report"),
        (b"Subject: hello\n\nworld\n", "no report"),
        (mailed(b"%PDF-1.4", kind="application/pdf", name="a.pdf"), "no report"),
        (b"x" * 100_001, "longer than 100000"),
    ],
)
def test_broken_and_hostile_wrappings(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_report(data, SMALL)


def nested(depth: int) -> bytes:
    message = b""
    for n in range(depth):
        message += b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n)
    return message + b"\nend\n"


@pytest.mark.parametrize(
    "data",
    [
        nested(90),
        nested(5_000),
        b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 2_000,
        b"Content-Type: message/rfc822\n\n" * 500,
        b"Content-Type: text/plain\n\n" + b"\n" * 600_000,
        b"Content-Type: multipart/mixed; boundary=\xff\xfe\n\n--\xff\xfe\n\n",
        b"Content-Transfer-Encoding: base64\nContent-Type: application/gzip\n\n!!!=\xff==\n",
    ],
    ids=["deep", "deeper", "wide", "messages", "lines", "boundary", "base64"],
)
def test_messages_that_would_trip_a_parser(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_report(data)


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_report_or_unreadable(noise: bytes) -> None:
    for data in (noise, GZIP[:40] + noise, b"PK\x03\x04" + noise, mailed(noise)):
        with pytest.raises(Unreadable):
            read_report(data, SMALL)


@given(st.data())
def test_a_damaged_report_is_read_or_unreadable(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([xml(), mailed(), zipped(("r.xml", xml())), GZIP]))
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=3)) + whole[at + 1 :]
    try:
        assert read_report(damaged, SMALL).rows is not None
    except Unreadable as why:
        assert str(why)
