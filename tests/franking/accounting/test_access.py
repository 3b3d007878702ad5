"""Who may fetch files by SFTP, and the files that tell sshd so."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import bcrypt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy.orm import Session

from franking.accounting import access, extrausers, sshd
from franking.accounting.config import Accounting
from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Database
from franking.money.terms import Terms, stored
from franking.reasons import Invalid, NotFound, Refused, Taken
from tests import factories

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HARDWARE = (
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIEmdLLA+2QCBh0kHF5SL"
    "zA6tZqT/hTPbfzB8tHiLGAB0AAAABHNzaDo="
)


def public(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def ed25519_key() -> str:
    return public(ed25519.Ed25519PrivateKey.generate())


@pytest.fixture
def rules(tmp_path: Path) -> Accounting:
    return Accounting(
        directory=tmp_path / "files", sftp_host="sftp.example.net", sftp_users=tmp_path / "users"
    )


def add(session: Session, account: Account, line: str) -> access.Key:
    return access.add_key(session, account, line, prefix="frank", now=NOW)


def test_keys(database: Database) -> None:
    curve = public(ec.generate_private_key(ec.SECP256R1()))
    with database.transaction() as session:
        account = factories.account(session)
        for line in (ed25519_key() + " anna@laptop", curve, HARDWARE):
            add(session, account, f"  {line}\n")
        row = access.of(session, account)
        assert row is not None
        keys = access.keys_of(row)
        assert [key.type for key in keys] == [line.split()[0] for line in row.keys]
        assert keys[0].comment == "anna@laptop"
        with pytest.raises(Taken):
            add(session, account, row.keys[0])
        access.remove_key(session, account, keys[0].fingerprint, NOW)
        with pytest.raises(NotFound):
            access.remove_key(session, account, keys[0].fingerprint, NOW)
        assert len(row.keys) == 2


def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    line = ed25519_key()
    (tmp_path / "key.pub").write_text(line)
    command = ["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert access.parse(line)[1].fingerprint == said.split()[1]


GOOD = ed25519_key()
WRONG = {
    "nothing": "",
    "a word": "ssh-ed25519",
    "an option": f'command="/bin/sh" {GOOD}',
    "cut off": GOOD[:-8],
    "a wrong character": GOOD.replace("AAAA", "AA*A"),
    "no letter of ASCII": GOOD.replace("AAAA", "AAé"),
    "another type": GOOD.replace("ssh-ed25519", "ssh-rsa", 1),
    "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=\n",
    "too short": public(rsa.generate_private_key(65537, 1024)),
    "DSA": "ssh-dss AAAAB3NzaC1kc3MAAACB",
    "too long": GOOD + " x" * 4000,
}


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_key(database: Database, line: str) -> None:
    with database.transaction() as session:
        account = factories.account(session)
        with pytest.raises(Invalid):
            add(session, account, line)


def test_a_second_line_never_gets_into_the_file() -> None:
    line, key = access.parse(f"{GOOD} comment\nssh-rsa AAAA injected\x00")
    assert "\n" not in line and "\x00" not in line
    assert key.comment == "comment ssh-rsa AAAA injected"


def test_a_password_is_kept_as_its_hash(database: Database) -> None:
    with database.transaction() as session:
        account = factories.account(session)
        made = access.new_password(session, account, prefix="frank", now=NOW)
        kept = made.access.password_hash
        assert kept is not None and made.password not in kept
        assert bcrypt.checkpw(made.password.encode(), kept.encode())
        again = access.new_password(session, account, prefix="frank", now=NOW)
        assert (again.access.username, again.password) != (made.access.username, made.password)
        assert again.access.username == made.access.username
        access.remove_password(session, account, NOW)
        with pytest.raises(NotFound):
            access.remove_password(session, account, NOW)


def test_most_keys_and_plans(database: Database) -> None:
    with database.transaction() as session:
        account = factories.account(session)
        for _ in range(access.MOST_KEYS):
            add(session, account, ed25519_key())
        with pytest.raises(Refused, match="at most 10"):
            add(session, account, ed25519_key())
        account.plan.terms = stored(Terms(features=()))
        with pytest.raises(Refused, match="plan"):
            access.new_password(session, account, prefix="frank", now=NOW)


def test_the_files_of_sshd(database: Database, rules: Accounting) -> None:
    with database.transaction() as session:
        one, two = factories.account(session, "one"), factories.account(session, "two")
        factories.account(session, "three")
        made = access.new_password(session, one, prefix="frank", now=NOW)
        key = add(session, two, ed25519_key() + " büro")
    with database.session() as session:
        assert extrausers.sync(session, rules) == 2
    name = made.access.username
    passwd = (rules.sftp_users / "passwd").read_text().splitlines()
    assert passwd[0] == f"{name}:x:200001:200000::{rules.directory}/one:/usr/sbin/nologin"
    shadow = (rules.sftp_users / "shadow").read_text().splitlines()
    assert shadow[0] == f"{name}:{made.access.password_hash}:1::::::"
    assert shadow[1].split(":")[1] == "*"
    assert (rules.sftp_users / "shadow").stat().st_mode & 0o777 == 0o600
    assert (rules.sftp_users / "group").read_text() == "franking-sftp:x:200000:\n"
    other = passwd[1].split(":")[0]
    line = (rules.sftp_users / "keys" / other).read_text()
    assert line.startswith("restrict ssh-ed25519 AAAA") and line.endswith(" büro\n")
    assert key.fingerprint == access.parse(line.removeprefix("restrict "))[1].fingerprint
    assert rules.directory is not None
    assert sorted(path.name for path in rules.directory.iterdir()) == ["one", "two"]


def test_who_has_nothing_any_more_is_gone(database: Database, rules: Accounting) -> None:
    with database.transaction() as session:
        one, two = factories.account(session, "one"), factories.account(session, "two")
        access.new_password(session, one, prefix="frank", now=NOW)
        key = add(session, two, ed25519_key())
        assert extrausers.sync(session, rules) == 2
        access.remove_key(session, two, key.fingerprint, NOW)
        assert extrausers.sync(session, rules) == 1
        accounts.close(session, one, NOW)
        assert extrausers.sync(session, rules) == 0
    for name in ("passwd", "shadow"):
        assert (rules.sftp_users / name).read_text() == ""
    assert list((rules.sftp_users / "keys").iterdir()) == []


def test_what_has_not_changed_is_not_written(database: Database, rules: Accounting) -> None:
    with database.transaction() as session:
        access.new_password(session, factories.account(session), prefix="frank", now=NOW)
        extrausers.sync(session, rules)
        before = {path: path.stat().st_ino for path in rules.sftp_users.iterdir()}
        extrausers.sync(session, rules)
    assert {path: path.stat().st_ino for path in rules.sftp_users.iterdir()} == before


def test_what_sshd_would_refuse(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o775)
    (tmp_path / "shared/files").mkdir()
    assert next(iter(sshd.unsafe(tmp_path / "shared/files"))) == tmp_path / "shared"
