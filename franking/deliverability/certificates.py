"""Is a listener's certificate good enough for those who check it, and for how long?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from franking.deliverability.findings import Finding, fail, ok, warn
from franking.deliverability.visit import EXPIRED, Seen

NAME = "certificate"
SOON = timedelta(days=21)
VERY_SOON = timedelta(days=3)
SMALLEST_RSA = 2048  # bits; less is refused at OpenSSL's security level 2, Debian's default
SMALLEST_EC = 256
TIME = "%Y-%m-%d %H:%MZ"

HOSTNAME_MISMATCH, IP_MISMATCH = 62, 64  # X509_V_ERR_…
NO_ISSUER = (18, 19, 20, 21)  # self-signed, or the chain does not lead to what is trusted


def judge(subject: str, seen: Seen, name: str, now: datetime) -> Finding:
    """What a client that connects to `name` makes of it."""
    certificate = x509.load_der_x509_certificate(seen.certificate)
    until = certificate.not_valid_after_utc
    fault = next(_faults(certificate, seen, name, now), None)
    if fault is not None:
        return fail(NAME, subject, *fault)
    expires = f"expires {until:{TIME}}"
    lifetime = until - certificate.not_valid_before_utc
    # Certificates of a week live a normal life, too.
    if until - now <= min(VERY_SOON, lifetime / 10):
        return fail(NAME, subject, expires, _RENEW)
    if until - now <= min(SOON, lifetime / 4):
        return warn(NAME, subject, expires, _RENEW)
    return ok(NAME, subject, f"{seen.version}, for {name}, {expires}")


def _faults(
    certificate: x509.Certificate, seen: Seen, name: str, now: datetime
) -> Iterator[tuple[str, str]]:
    """Detail and fix; the first says most."""
    until = certificate.not_valid_after_utc
    if until <= now or seen.code == EXPIRED:
        yield f"expired {until:{TIME}}", _RENEW
    weak = _weak(certificate)
    if weak:
        yield f"its key is weak: {weak}", "make a new one with ECDSA, or RSA of 2048 bits and more"
    if seen.code in (HOSTNAME_MISMATCH, IP_MISMATCH):
        detail = f"is for {_names(certificate)}, and customers are told {name}"
        yield detail, f"get one for {name}, or correct smtp.host"
    if seen.code in NO_ISSUER:
        yield f"is not trusted: {seen.distrust}", _CHAIN
    if seen.code:
        yield f"is not trusted: {seen.distrust}", "see the detail"


_RENEW = "renew it, reload Postfix, and see why that did not happen by itself"
_CHAIN = (
    "put the intermediate certificates behind it in smtpd_tls_chain_files (certbot: fullchain.pem);"
    " if your own authority issued it, name that in deliverability.ca_file"
)


def _weak(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA:
        return f"RSA, {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < SMALLEST_EC:
        return f"ECDSA, {key.key_size} bits"
    return ""


def _names(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "no name"
    found = names.get_values_for_type(x509.DNSName)
    found += [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return ", ".join(found[:10]) or "no name"
