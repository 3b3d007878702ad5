"""Keys at rest, and signatures before two verifiers that share no code with the signer."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from dkim.canonicalization import Relaxed

from franking.db import Database
from franking.domains import dkim, signing
from franking.domains.records import expected_records
from franking.reasons import Invalid
from franking.sealing import SealError
from tests import factories, verifiers

MASTER = bytes(32)
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
HEADERS = [
    (b"Received", b" from x by y;\r\n\tSat, 21 Nov 2026 10:00:00 +0000"),
    (b"From", b' "A  B"  <a@example.com>'),
    (b"Subject", b" one\n two  three \t"),
    (b"To", b" x@y.example,\n\tq@r.example"),
    (b"Date", b" Sat, 21 Nov 2026 10:00:00 +0000"),
    (b"References", b"\n\t".join(b" <%d@example.com>" % n for n in range(40))),
    (b"X-Long", b" " + b"x" * 900),
    (b"List-Id", b" <list.example.com>"),
]
BODIES = [b"", b"plain\r\n", b"a  b \t\r\n\r\n\r\n", b"\xff\xfe 8 bit\r\n.\r\n", b"\r\n\r\n"]


def test_a_sealed_key_opens_only_in_its_row_and_under_its_master_key() -> None:
    private, _ = dkim.generate(dkim.ED25519)
    sealed = dkim.seal(private, MASTER, domain_id=1, selector="s")
    assert private not in sealed
    assert sealed != dkim.seal(private, MASTER, domain_id=1, selector="s")
    assert dkim.unseal(sealed, MASTER, domain_id=1, selector="s") == private
    for other in (
        {"sealed": sealed, "master_key": MASTER, "domain_id": 2, "selector": "s"},
        {"sealed": sealed, "master_key": MASTER, "domain_id": 1, "selector": "t"},
        {"sealed": sealed, "master_key": b"x" * 32, "domain_id": 1, "selector": "s"},
        {"sealed": sealed[:-1], "master_key": MASTER, "domain_id": 1, "selector": "s"},
        {"sealed": sealed[:9], "master_key": MASTER, "domain_id": 1, "selector": "s"},
        {"sealed": b"\x02" + sealed[1:], "master_key": MASTER, "domain_id": 1, "selector": "s"},
        {"sealed": b"", "master_key": MASTER, "domain_id": 1, "selector": "s"},
    ):
        with pytest.raises(SealError):
            dkim.unseal(**other)  # type: ignore[arg-type]


def test_keys() -> None:
    private, public = dkim.generate()
    key = dkim.load(private)
    assert isinstance(key, RSAPrivateKey)
    assert key.key_size == 2048
    assert dkim.public_value(key) == public
    with pytest.raises(Invalid, match="rsa-sha1"):
        dkim.generate("rsa-sha1")


def test_create(database: Database) -> None:
    with database.transaction() as session:
        domain = factories.verified_domain(session, factories.account(session))
        key = dkim.create(session, domain, MASTER, algorithm=dkim.ED25519, selector="ed", now=NOW)
        opened = dkim.unseal(
            key.sealed_private_key, MASTER, domain_id=domain.id, selector=key.selector
        )
        assert dkim.public_value(dkim.load(opened)) == key.public_key
        (record,) = [each for each in expected_records(domain, [key]) if each.key_id == key.id]
        assert record.name == "ed._domainkey.example.com"
        assert record.value == f"v=DKIM1; k=ed25519; p={key.public_key}"


def signed(algorithm: str, body: bytes, records: dict[str, str]) -> bytes:
    """A whole message; its key's record is added to `records`."""
    private, public = dkim.generate(algorithm)
    selector = f"s{len(records)}"
    records[f"{selector}._domainkey.example.com"] = (
        f"v=DKIM1; k={algorithm.partition('-')[0]}; p={public}"
    )
    value = signing.sign(
        HEADERS,
        hashlib.sha256(Relaxed.canonicalize_body(body)).digest(),
        domain="example.com",
        selector=selector,
        key=dkim.load(private),
        algorithm=algorithm,
        now=NOW,
    )
    lines = [b"DKIM-Signature:" + value, *(name + b":" + text for name, text in HEADERS)]
    head = b"".join(line.replace(b"\r\n", b"\n") + b"\n" for line in lines)
    return head.replace(b"\n", b"\r\n") + b"\r\n" + body


def test_signatures_verify_and_protect() -> None:
    records: dict[str, str] = {}
    good = [signed(algorithm, body, records) for algorithm in dkim.ALGORITHMS for body in BODIES]
    bad = [
        change(message)
        for message in (good[1], good[6])  # one of each algorithm
        for change in (
            lambda m: m.replace(b"plain", b"plane"),
            lambda m: m.replace(b"a@example.com", b"b@example.com"),
            lambda m: m.replace(b"From:", b"From: x@y.example\r\nFrom:", 1),
            lambda m: m.replace(b"Subject:", b"Reply-To: x@y.example\r\nSubject:", 1),
            lambda m: m.replace(b"Subject:", b"List-Unsubscribe: <x:y>\r\nSubject:", 1),
            lambda m: m + b"more\r\n",
        )
    ]
    assert [verifiers.dkimpy(message, records) for message in good] == [[True]] * len(good)
    assert [verifiers.dkimpy(message, records) for message in bad] == [[False]] * len(bad)
    assert verifiers.opendkim(good, records) == [""] * len(good)
    assert all(verifiers.opendkim(bad, records))


def test_the_shape_of_a_signature() -> None:
    message = signed(dkim.RSA, b"x\r\n", {})
    field = message[: message.index(b"Received:")]
    tags = dict(tag.strip().split("=", 1) for tag in field.decode().partition(":")[2].split(";"))
    assert set(tags) == {"v", "a", "c", "d", "s", "t", "h", "bh", "b"}
    assert tags["c"] == "relaxed/relaxed"
    assert tags["t"] == str(int(NOW.timestamp()))
    names = [name.strip() for name in tags["h"].split(":")]
    assert names.count("from") == 2
    assert names.count("cc") == 1
    assert names.count("list-id") == 1
    assert "received" not in names
    assert all(len(line) <= 78 for line in field.splitlines())


def test_a_key_signs_only_its_own_algorithm() -> None:
    key = dkim.load(dkim.generate(dkim.ED25519)[0])
    with pytest.raises(ValueError, match="cannot sign"):
        signing.sign([], b"", domain="d", selector="s", key=key, algorithm=dkim.RSA, now=NOW)
