"""Knot DNS: what an authoritative server really answers, and how it takes dynamic updates."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping

from tests.dns.daemon import Daemon, tool

CONFIGURATION = """
server:
    rundir: "{directory}"
    listen: {address}@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
control:
    listen: "{directory}/control"
database:
    storage: "{directory}"
    journal-db-max-size: 16M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
    catalog-db-max-size: 16M
key:
  - id: {tsig_name}
    algorithm: hmac-sha256
    secret: {tsig_secret}
acl:
  - id: updates
    key: {tsig_name}
    action: [update, transfer]
template:
  - id: default
    storage: "{directory}"
    semantic-checks: off
    zonefile-sync: 0
    zonefile-load: whole
    journal-content: none
    acl: updates
"""


class Knot(Daemon):
    """The root is among its zones, so it answers questions about all names.

    Updates (RFC 2136) and transfers are taken from whoever signs with `tsig_secret` (base64,
    HMAC-SHA256).
    """

    def __init__(
        self,
        zones: Mapping[str, str],
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        root: bool = True,
    ) -> None:
        super().__init__("knotd", address=address, port=port)
        self.tsig_name = "franking-test"
        self.tsig_secret = base64.b64encode(secrets.token_bytes(32)).decode()
        self._zones = ({".": ""} if root else {}) | dict(zones)
        self._serial = 1

    def command(self) -> list[str]:
        return [tool("knotd"), "-c", f"{self.directory}/knot.conf"]

    def prepare(self) -> None:
        for name, text in self._zones.items():
            self._write(name, text)
        self._configure()

    def check(self) -> None:
        """It starts also without the zones that it cannot read."""
        assert " error: " not in self.log, self.log

    def set_zone(self, name: str, text: str) -> None:
        """A new zone, or one in the place of the old, at once."""
        self._serial += 1
        is_new = name not in self._zones
        self._zones[name] = text
        self._write(name, text)
        if is_new:
            self._configure()
            self._control("reload")
        self._control("-b", "zone-reload", name)

    def _control(self, *arguments: str) -> None:
        self.control("knotc", "-s", f"{self.directory}/control", *arguments)

    def _configure(self) -> None:
        head = CONFIGURATION.format(
            directory=self.directory,
            address=self.address,
            port=self.port,
            tsig_name=self.tsig_name,
            tsig_secret=self.tsig_secret,
        )
        zones = "".join(
            f'  - domain: "{name}"\n    file: "{_file(name)}"\n' for name in self._zones
        )
        (self.directory / "knot.conf").write_text(f"{head}zone:\n{zones}")

    def _write(self, name: str, text: str) -> None:
        """With SOA, NS and the server's address, unless the text has an SOA."""
        origin = "." if name == "." else f"{name}."
        head = f"$ORIGIN {origin}\n$TTL 300\n"
        if not re.search(r"\sSOA\s", text):
            head += (
                f"@ SOA ns hostmaster {self._serial} 3600 600 86400 300\n"
                f"@ NS ns\nns A {self.address}\n"
            )
        (self.directory / _file(name)).write_text(f"{head}{text}\n")


def _file(name: str) -> str:
    return f"{name.strip('.') or 'root'}.zone"
