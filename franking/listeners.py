"""The four ports on which Postfix takes mail, and what each of them offers.

`Listeners` is the section `[listeners]` of the settings.  Postfix's files stay static text: what a
listener decides reaches them as `$site_listener_…` values (`site_values`), except that the line of
one that is off is commented out (`without_disabled`), because a line cannot be a parameter.
Parameters: https://www.postfix.org/postconf.5.html; what each means here: postfix/README.md.

Only PLAIN and LOGIN exist: every other password mechanism (CRAM-MD5, DIGEST-MD5, SCRAM-*) needs
the secret itself or a hash made for it alone, and we keep one SHA-256 (docs/decisions/0004).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from franking.domains.config import Dmarc
from franking.mail.config import Bounces, Inbound

ListenerName = Literal["smtp", "submission", "submissions", "alternate"]

# The first column of each listener's line in master.cf.
SERVICES: dict[ListenerName, str] = {
    "smtp": "smtp",
    "submission": "submission",
    "submissions": "submissions",
    "alternate": "2525",
}


def _possible(names: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.upper() for name in names)
    if not names or set(names) - {"PLAIN", "LOGIN"}:
        raise ValueError(
            f"{', '.join(names) or 'nothing'} is not possible: only PLAIN and LOGIN can be checked"
            ' against the hashes that we keep; write ["PLAIN", "LOGIN"] or ["PLAIN"]'
        )
    return names


class Listener(BaseModel):
    """One port.  Strict services offer PLAIN alone: `mechanisms = ["PLAIN"]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    tls: Literal["required", "implicit", "optional"] = Field(
        "required", description="required, optional: STARTTLS; implicit: TLS from the first byte"
    )
    mechanisms: Annotated[tuple[str, ...], AfterValidator(_possible)] = ("PLAIN", "LOGIN")
    submission: bool = Field(True, description="off: no AUTH, so nobody can send through it")
    plaintext_auth: bool = Field(
        False, description="offer AUTH without TLS too, to the keys that are allowed it"
    )

    @model_validator(mode="after")
    def _plaintext_auth_is_possible(self) -> Listener:
        if self.plaintext_auth and self.tls != "optional":
            raise ValueError(
                f'plaintext_auth = true contradicts tls = "{self.tls}", which lets nobody speak in'
                ' clear text; write tls = "optional", or leave plaintext_auth out'
            )
        if self.plaintext_auth and not self.submission:
            raise ValueError(
                "plaintext_auth = true, but nobody can log in here; write submission = true, or"
                " leave plaintext_auth out"
            )
        return self


class _Port25(Listener):
    """Other servers deliver here, and not all of them speak TLS (RFC 3207 §4 forbids to demand it
    of them)."""

    tls: Literal["required", "implicit", "optional"] = "optional"
    submission: bool = False


class _Port465(Listener):
    """RFC 8314 §3.3."""

    tls: Literal["required", "implicit", "optional"] = "implicit"


class Listeners(BaseModel):
    """Ports 25, 587, 465 and 2525; what a table leaves out keeps that port's default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smtp: _Port25 = _Port25()
    submission: Listener = Listener()
    submissions: _Port465 = _Port465()
    alternate: Listener = Listener()

    def enabled(self) -> Iterator[tuple[ListenerName, Listener]]:
        for name in SERVICES:
            listener: Listener = getattr(self, name)
            if listener.enabled:
                yield name, listener

    def for_submission(self) -> dict[ListenerName, Listener]:
        """Those that customers can send through."""
        return {name: listener for name, listener in self.enabled() if listener.submission}

    def mechanisms(self) -> dict[str, tuple[str, ...]]:
        """Of each that is enabled."""
        return {name: listener.mechanisms for name, listener in self.enabled()}


def site_values(listeners: Listeners) -> dict[str, str]:
    """The `$site_listener_…` values of those that are enabled: `postconf` warns of a value that
    no line of master.cf uses."""
    return {
        f"site_listener_{name}_{parameter}": value
        for name, listener in listeners.enabled()
        for parameter, value in _values(name, listener).items()
    }


def inbound_values(bounces: Bounces, dmarc: Dmarc, inbound: Inbound) -> dict[str, str]:
    """The `$site_inbound_…` values that the settings know."""
    domains = dict.fromkeys(filter(None, (bounces.domain, dmarc.reports)))
    return {
        "site_bounce_domain": bounces.domain,
        "site_inbound_domains": ", ".join(domains),
        "site_inbound_maildir": str(inbound.maildir),
    }


def _values(name: ListenerName, listener: Listener) -> dict[str, str]:
    return {
        "tls_level": "may" if listener.tls == "optional" else "encrypt",
        "tls_wrapper": _yes(listener.tls == "implicit"),
        "tls_auth_only": _yes(not listener.plaintext_auth),
        "auth": _yes(listener.submission),
        "mechanisms": ", ".join(listener.mechanisms).lower(),
        # On 25 even with submission: a server that mistakes us for somebody's MX comes there.
        "inbound": _yes(name == "smtp" or not listener.submission),
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def without_disabled(master_cf: str, listeners: Listeners) -> str:
    """master.cf with the lines of each listener that is off commented out, as `postconf -M#` does.

    Raises ValueError when it has no such service.
    """
    on = {name for name, _ in listeners.enabled()}
    for name, service in SERVICES.items():
        entry = re.search(rf"^{service}[ \t]+inet[ \t].*\n(?:[ \t]+\S.*\n)*", master_cf, re.M)
        if entry is None:
            raise ValueError(f"master.cf has no inet service {service!r}")
        if name not in on:
            commented = re.sub(r"^", "#", entry[0].removesuffix("\n"), flags=re.M) + "\n"
            master_cf = master_cf[: entry.start()] + commented + master_cf[entry.end() :]
    return master_cf
