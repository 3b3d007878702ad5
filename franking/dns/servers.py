"""A server that can be asked, and how it is written in the settings.

Apart from what asks it, because everybody reads the settings and few ask the DNS.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

DNS_PORT = 53


@dataclass(frozen=True)
class Server:
    address: str
    port: int = DNS_PORT

    @classmethod
    def parse(cls, text: str) -> Server:
        """`192.0.2.53`, `127.0.0.1@5353`, `2001:db8::53@5353`; raises ValueError."""
        address, _, port = text.partition("@")
        number = int(port or DNS_PORT)
        if not 1 <= number <= 65_535:
            raise ValueError(f"{number} is no port")
        return cls(str(ipaddress.ip_address(address)), number)

    def __str__(self) -> str:
        return self.address if self.port == DNS_PORT else f"{self.address}@{self.port}"
