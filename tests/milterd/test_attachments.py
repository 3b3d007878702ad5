"""A denied type is found under any name, and an allowed one is not refused by mistake."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milterd.attachments import Attachment, Found, check_attachments, detect, extension


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "x" * 40)
    return made.getvalue()


PE = (
    b"MZ\x90\x00\x03\x00\x00\x00"
    + b"\x00" * 52
    + b"\x80\x00\x00\x00"
    + b"\x00" * 64
    + b"PE\x00\x00"
)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 40 + b"\x02\x00\x00\x00" + b"\x00" * 1_484
MSI = OLE + b"\x00" * 80 + bytes.fromhex("84100c0000000000c000000000000046") + b"\x00" * 100
DOCX = zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml")
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00" * 40


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        pytest.param(PE, "exe", id="PE"),
        pytest.param(Path(sys.executable).read_bytes()[:4096], "elf", id="this interpreter"),
        pytest.param(b"\xcf\xfa\xed\xfe\x07\x00\x00\x01", "macho", id="Mach-O"),
        pytest.param(b"\xca\xfe\xba\xbe\x00\x00\x00\x02" + b"\x00" * 60, "macho", id="fat"),
        pytest.param(b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + b"\x00" * 60, "class", id="Java"),
        pytest.param(b"L\x00\x00\x00\x01\x14\x02\x00" + b"\x00" * 60, "lnk", id="shortcut"),
        pytest.param(b"ITSF\x03\x00\x00\x00" + b"\x00" * 60, "chm", id="help"),
        pytest.param(b"#!/bin/sh\nid\n", "sh", id="script"),
        pytest.param(b"REGEDIT4\r\n", "reg", id="registry"),
        pytest.param(MSI, "msi", id="installer"),
        pytest.param(OLE, "ole", id="some OLE file"),
        pytest.param(b"%PDF-1.7\n", "pdf", id="PDF"),
        pytest.param(b"junk\n" * 50 + b"%PDF-1.7\n", "pdf", id="PDF after something"),
        pytest.param(zipped("a.txt"), "zip", id="zip"),
        pytest.param(DOCX, "docx", id="docx"),
        pytest.param(zipped("META-INF/MANIFEST.MF", "A.class"), "jar", id="jar"),
        pytest.param(gzip.compress(b"x"), "gz", id="gzip"),
        pytest.param(PNG, "png", id="png"),
        pytest.param(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "jpg", id="jpeg"),
        pytest.param(b"{\\rtf1\\ansi", "rtf", id="rtf"),
        pytest.param(b"MZ is how this text begins\r\n" * 9, "", id="a text with MZ"),
        pytest.param(b"BM;Preis\r\n" * 9, "", id="a table with BM"),
        pytest.param(b"a,b\r\n1,2\r\n", "", id="csv"),
        pytest.param(b"<!DOCTYPE html>", "", id="html"),
        pytest.param(b"", "", id="nothing"),
    ],
)  # fmt: skip
def test_detect(head: bytes, expected: str) -> None:
    assert detect(head) == expected


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", OLE, b"\x00\x00\x00\x18ftyp"]))
def test_no_bytes_break_it(tail: bytes, start: bytes) -> None:
    assert isinstance(detect(start + tail), str)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.pdf", "pdf"),
        ("a.PDF", "pdf"),
        ("invoice.pdf.exe", "exe"),
        ("invoice.pdf          .exe", "exe"),
        ("a.exe.", "exe"),
        ("a.exe . .", "exe"),
        ("a.exe\x00", "exe"),
        ("a.ex\u200be", "exe"),
        ("a\uff0eexe", "exe"),
        ("a.\uff45xe", "exe"),
        ("a\u202efdp.exe", "exe"),
        ("a.exe:b.txt", "exe"),
        ("a.exe::$DATA", "exe"),
        ("c:\\x.txt\\a.exe", "exe"),
        ("../a.exe", "exe"),
        ("a.jpeg", "jpg"),
        (".exe", "exe"),
        ("a", ""),
        ("a.", ""),
        ("", ""),
        (".", ""),
    ],
)
def test_extension(name: str, expected: str) -> None:
    assert extension(name) == expected


def found(name: str = "", detected: str = "", declared: str = "application/octet-stream") -> Found:
    return Found((Attachment((name,) if name else (), declared, detected, 100),))


@pytest.mark.parametrize(
    "attachment",
    [
        pytest.param(found("a.exe"), id="its name"),
        pytest.param(found("a.EXE"), id="capitals"),
        pytest.param(found("a.pdf.exe"), id="two extensions"),
        pytest.param(found("a.pdf", "exe"), id="its bytes"),
        pytest.param(found("a.dll", "exe"), id="another program's name"),
        pytest.param(found("", "exe"), id="its bytes, without a name"),
        pytest.param(found("", "", "application/zip"), id="its media type"),
        pytest.param(Found((Attachment(("a.txt", "a.exe"), "text/plain", "", 1),)), id="one name"),
        pytest.param(found("photo\u202egpj.scr"), id="a name turned round"),
        pytest.param(found("photo\u202etxt.gpj"), id="turned round the other way"),
    ],
)
def test_denied(attachment: Found) -> None:
    (error,) = check_attachments(attachment, (), ("exe", "zip"))
    assert error.startswith("the attachment '")
    assert "," not in error


@pytest.mark.parametrize(
    "attachment",
    [
        pytest.param(Found(), id="none"),
        pytest.param(found("a.pdf", "pdf"), id="another type"),
        pytest.param(found("exe"), id="no extension"),
        pytest.param(found("exe.txt"), id="another extension"),
        pytest.param(found("a.exe.txt"), id="harmless at the end"),
        pytest.param(found("a.docx", "zip"), id="a docx is a zip, but not an archive"),
        pytest.param(found("\u200f\u05d0.pdf"), id="Hebrew"),
    ],
)
def test_not_denied(attachment: Found) -> None:
    assert check_attachments(attachment, (), ("exe", "zip")) == []


ALLOWED = ("pdf", "docx", "jpg", "csv", "doc", "sketch", "mp4")


@pytest.mark.parametrize(
    "attachment",
    [
        pytest.param(found("a.pdf", "pdf"), id="name and bytes"),
        pytest.param(found("a.csv"), id="a text"),
        pytest.param(found("a.jpeg", "jpg"), id="an alias"),
        pytest.param(found("a.docx", "zip"), id="docx shown as zip"),
        pytest.param(found("a.doc", "ole"), id="doc shown as OLE"),
        pytest.param(found("a.sketch", "zip"), id="a type with bytes nobody knows"),
        pytest.param(found("", "pdf"), id="bytes without a name"),
        pytest.param(found("", "", "application/pdf"), id="a media type without a name"),
        pytest.param(found("a.doc", "docx"), id="allowed, under another allowed name"),
    ],
)
def test_allowed(attachment: Found) -> None:
    assert check_attachments(attachment, ALLOWED, ()) == []


@pytest.mark.parametrize(
    ("attachment", "words"),
    [
        pytest.param(found("a.png", "png"), "type png which is not among", id="another"),
        pytest.param(found("a.pdf", "exe"), "contains the type exe", id="a program in disguise"),
        pytest.param(found("a.sketch", "exe"), "contains the type exe", id="under a free name"),
        pytest.param(found("a.doc", "msi"), "contains the type msi", id="installer as doc"),
        pytest.param(found("a.pdf", "zip"), "contains the type zip", id="an archive in disguise"),
        pytest.param(found("a"), "unknown type", id="nothing known"),
        pytest.param(found("a.pdf.xyz"), "type xyz", id="the last extension counts"),
        pytest.param(found("a.b,c"), "type b_c", id="a comma"),
        pytest.param(
            Found((Attachment(("a.pdf", "a.xyz"), "", "", 1),)), "type xyz", id="any name"
        ),
    ],
)
def test_not_allowed(attachment: Found, words: str) -> None:
    (error,) = check_attachments(attachment, ALLOWED, ())
    assert words in error
    assert "," not in error


@pytest.mark.parametrize("kind", ["jpeg", "jpg", "JPG", ".jpg"])
def test_rules_know_aliases(kind: str) -> None:
    assert check_attachments(found("a.jpeg"), (), (kind,)) != []
    assert check_attachments(found("a.jpg"), (kind,), ()) == []


def test_denied_wins_over_allowed() -> None:
    assert check_attachments(found("a.pdf"), ("pdf",), ("pdf",)) != []


def test_without_a_rule_nothing_is_refused() -> None:
    assert check_attachments(Found(found("a.exe").attachments, ("broken",)), (), ()) == []


def test_what_could_not_be_seen_is_an_error() -> None:
    assert check_attachments(Found((), ("broken",)), ("pdf",), ()) == ["broken"]


def test_a_hundred_errors_are_five() -> None:
    many = Found(tuple(found(f"{n}.exe").attachments[0] for n in range(100)))
    assert len(check_attachments(many, (), ("exe",))) == 5


def test_a_name_is_shown_without_commas_and_cut() -> None:
    (error,) = check_attachments(found("x" * 500 + ",\n.exe"), (), ("exe",))
    assert "__.exe'" in error
    assert len(error) < 150
