"""Who may fetch an account's files by SFTP: its user name, keys and password.

The password is random, so its hash need not be slow (docs/decisions/0004); bcrypt is what crypt(3)
and so sshd reads.  It is shown once.  Keys are what `ssh-keygen` writes into a .pub file; options
in front of a key, which sshd would obey, are refused.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import bcrypt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.accounting import files
from franking.accounting.models import SftpAccess
from franking.accounts.models import Account
from franking.accounts.secret import ALPHABET
from franking.reasons import Invalid, NotFound, Taken

MOST_KEYS = 10
LONGEST_LINE = 4000  # characters
LONGEST_COMMENT = 60
SMALLEST_RSA = 2048  # bits
PASSWORD_LENGTH = 32  # of 32 letters: 160 bits
ROUNDS = 5
TYPES = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
)  # fmt: skip
HARDWARE = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")

_INTRODUCE: dict[str, Any] = {
    "sqlite": sqlite.insert(SftpAccess).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(SftpAccess).on_conflict_do_nothing(),
}


@dataclass(frozen=True)
class Key:
    """`fingerprint` is what `ssh-keygen -l` says: SHA256:…"""

    type: str
    fingerprint: str
    comment: str


@dataclass(frozen=True)
class Password:
    access: SftpAccess
    password: str


def of(session: Session, account: Account) -> SftpAccess | None:
    return session.get(SftpAccess, account.id)


def keys_of(access: SftpAccess) -> list[Key]:
    return [parse(line)[1] for line in access.keys]


def add_key(session: Session, account: Account, line: str, *, prefix: str, now: datetime) -> Key:
    """Raises Invalid, Taken."""
    text, key = parse(line)
    access = _own(session, account, prefix, now)
    if key in keys_of(access) or key.fingerprint in {k.fingerprint for k in keys_of(access)}:
        raise Taken(f"{key.fingerprint} is there already")
    if len(access.keys) >= MOST_KEYS:
        raise Invalid.of("key", f"an account has at most {MOST_KEYS} keys")
    access.keys = [*access.keys, text]
    access.changed_at = now
    session.flush()
    return key


def remove_key(session: Session, account: Account, fingerprint: str, now: datetime) -> Key:
    """Raises NotFound."""
    access = session.get(SftpAccess, account.id, with_for_update=True)
    for line in access.keys if access else ():
        key = parse(line)[1]
        if access is not None and key.fingerprint == fingerprint:
            access.keys = [each for each in access.keys if each != line]
            access.changed_at = now
            session.flush()
            return key
    raise NotFound(f"there is no key {fingerprint!r}")


def new_password(session: Session, account: Account, *, prefix: str, now: datetime) -> Password:
    """Instead of the one before.  Raises Invalid."""
    access = _own(session, account, prefix, now)
    password = "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS))
    access.password_hash = hashed.decode()
    access.changed_at = now
    session.flush()
    return Password(access, password)


def remove_password(session: Session, account: Account, now: datetime) -> SftpAccess:
    """Raises NotFound."""
    access = session.get(SftpAccess, account.id, with_for_update=True)
    if access is None or access.password_hash is None:
        raise NotFound("there is no password")
    access.password_hash = None
    access.changed_at = now
    session.flush()
    return access


def parse(line: str) -> tuple[str, Key]:
    """A line for authorized_keys, and what it says; raises Invalid."""
    if "PRIVATE KEY" in line:
        raise _invalid("this is the private key: keep it secret, and give us the .pub file")
    words = line.split()
    if len(line) > LONGEST_LINE or len(words) < 2 or words[0] not in TYPES + HARDWARE:
        raise _invalid(
            "write the line of a .pub file, such as ssh-ed25519 AAAA…; keys may be Ed25519, ECDSA"
            f" or RSA of {SMALLEST_RSA} bits or more"
        )
    kind, blob = words[0], _blob(words[0], words[1])
    if kind in TYPES:
        _judge(f"{kind} {words[1]}".encode())
    comment = "".join(c for c in " ".join(words[2:]) if c.isprintable())[:LONGEST_COMMENT]
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    key = Key(kind, f"SHA256:{digest}", comment)
    return f"{kind} {base64.b64encode(blob).decode()} {comment}".rstrip(), key


def _blob(kind: str, text: str) -> bytes:
    """The key in RFC 4253 §6.6's form, which begins with its own type."""
    try:
        blob = base64.b64decode(text, validate=True)
    except ValueError as error:  # also of a letter that is not ASCII's
        raise _invalid("this key is cut off, or a character is wrong") from error
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
        raise _invalid("this key is not of the type that its line says")
    return blob


def _judge(data: bytes) -> None:
    try:
        key = load_ssh_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _invalid("this key is cut off, or a character is wrong") from error
    if isinstance(key, RSAPublicKey) and key.key_size < SMALLEST_RSA:
        raise _invalid(f"this RSA key has {key.key_size} bits; {SMALLEST_RSA} are the least")


def _invalid(sentence: str) -> Invalid:
    return Invalid.of("key", sentence)


def _own(session: Session, account: Account, prefix: str, now: datetime) -> SftpAccess:
    """The account's row, locked; with a new user name when there was none."""
    if not files.allowed(account):
        raise Invalid("the account's plan has no accounting log")
    connection = session.connection()
    name = f"{prefix}_sftp_" + "".join(secrets.choice(ALPHABET) for _ in range(10))
    values = {"account_id": account.id, "username": name, "keys": [], "changed_at": now}
    connection.execute(_INTRODUCE[connection.dialect.name], values)
    return session.get_one(SftpAccess, account.id, with_for_update=True)
