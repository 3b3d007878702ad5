"""DKIM keys at rest: made here, sealed here, opened only by the milter.

A private key is stored sealed (`franking.sealing`), bound to its domain and selector.
Plain text is PKCS #8 DER.  RSA has 2,048 bits: larger ones do not fit into one UDP answer, smaller
ones are not safe (RFC 8301 §3.2).  Signatures are made in `franking.domains.signing`.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from sqlalchemy.orm import Session

from franking.db import utcnow
from franking.domains.models import DkimKey, Domain
from franking.reasons import Invalid
from franking.sealing import Sealer, SealError

RSA = "rsa-sha256"
ED25519 = "ed25519-sha256"
ALGORITHMS = (RSA, ED25519)

PrivateKey = RSAPrivateKey | Ed25519PrivateKey
Pair = tuple[bytes, str]  # as of `generate`


def generate(algorithm: str = RSA) -> Pair:
    """A new key: (private key as PKCS #8 DER, value of the record's `p=`)."""
    if algorithm not in ALGORITHMS:
        raise Invalid(f"{algorithm!r} is no DKIM algorithm; choose {' or '.join(ALGORITHMS)}")
    key: PrivateKey = (
        generate_private_key(public_exponent=65537, key_size=2048)
        if algorithm == RSA
        else Ed25519PrivateKey.generate()
    )
    private = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, public_value(key)


class Pairs:
    """Key pairs that were made before a transaction began: an RSA key takes 50 to 100 ms, and on
    SQLite nobody else writes meanwhile.  What nobody has foreseen is made when it is asked for."""

    def __init__(self) -> None:
        self._made: dict[str, list[Pair]] = defaultdict(list)

    @classmethod
    def of(cls, algorithms: Iterable[str]) -> Pairs:
        """One of each, made now."""
        pairs = cls()
        for algorithm in algorithms:
            pairs.put(algorithm, generate(algorithm))
        return pairs

    def put(self, algorithm: str, pair: Pair) -> None:
        self._made[algorithm].append(pair)

    def take(self, algorithm: str) -> Pair:
        """One that nobody else gets."""
        made = self._made[algorithm]
        return made.pop() if made else generate(algorithm)


def public_value(key: PrivateKey) -> str:
    """SubjectPublicKeyInfo for RSA (RFC 6376 §3.6.1), the bare 32 bytes for Ed25519 (RFC 8463)."""
    public = key.public_key()
    if isinstance(key, RSAPrivateKey):
        encoding = serialization.Encoding.DER
        form = serialization.PublicFormat.SubjectPublicKeyInfo
    else:
        encoding = serialization.Encoding.Raw
        form = serialization.PublicFormat.Raw
    return base64.b64encode(public.public_bytes(encoding, form)).decode("ascii")


def load(private: bytes) -> PrivateKey:
    """The key of `generate`'s DER.

    The check of an RSA key's primes takes 39 ms and is skipped: the key is our own, and the seal
    has just proved that nobody changed it.
    """
    key = serialization.load_der_private_key(private, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise SealError(f"a {type(key).__name__} is no DKIM key")
    return key


def create(
    session: Session,
    domain: Domain,
    master_key: bytes,
    *,
    selector: str,
    algorithm: str = RSA,
    state: str = "active",
    method: str = "txt",
    activate_at: datetime | None = None,
    now: datetime | None = None,
    pairs: Pairs | None = None,
) -> DkimKey:
    """Give a domain (flushed, so that it has its id) a new key.

    `activate_at`: the turn of a pending key.
    """
    moment = now or utcnow()
    private, public = (pairs or Pairs()).take(algorithm)
    key = DkimKey(
        domain_id=domain.id,
        selector=selector,
        algorithm=algorithm,
        public_key=public,
        sealed_private_key=seal(private, master_key, domain_id=domain.id, selector=selector),
        state=state,
        method=method,
        activate_at=activate_at,
        activated_at=moment if state == "active" else None,
        created_at=moment,
    )
    session.add(key)
    session.flush()
    return key


def seal(private: bytes, master_key: bytes, *, domain_id: int, selector: str) -> bytes:
    return Sealer(master_key).seal(private, row(domain_id, selector))


def unseal(sealed: bytes, master_key: bytes | Sealer, *, domain_id: int, selector: str) -> bytes:
    """What `seal` was given; raises SealError."""
    sealer = master_key if isinstance(master_key, Sealer) else Sealer(master_key)
    return sealer.open(sealed, row(domain_id, selector))


def row(domain_id: int, selector: str) -> str:
    """What a sealed key is bound to."""
    return f"dkim_key:{domain_id}:{selector}"
