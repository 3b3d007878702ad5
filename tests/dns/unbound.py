"""Unbound: a resolver as customers' mail meets it, which remembers what it has heard."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from tests.dns.daemon import Daemon, tool

CONFIGURATION = """
server:
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    interface: {address}
    port: {port}
    num-threads: 1
    access-control: 127.0.0.0/8 allow
    do-ip6: no
    do-not-query-localhost: no
    module-config: "iterator"
    qname-minimisation: no
    unblock-lan-zones: yes
    insecure-lan-zones: yes
    local-zone: "test." nodefault
    local-zone: "invalid." nodefault
    local-zone: "127.in-addr.arpa." nodefault
remote-control:
    control-enable: yes
    control-interface: "{directory}/control"
    control-use-cert: no
"""


class Unbound(Daemon):
    """Everything is asked of the server at 127.0.0.1 and `upstream`, a port.

    `elsewhere`: zones that others have, `{"sub.shop.test": "127.0.0.2@5353"}`.  It does not go to
    the servers that a zone names, because it would ask them at port 53.
    """

    def __init__(self, upstream: int, *, elsewhere: Mapping[str, str] = {}, port: int = 0) -> None:
        super().__init__("unbound", port=port)
        self._servers = {".": f"127.0.0.1@{upstream}"} | dict(elsewhere)

    def command(self) -> list[str]:
        return [f"{self.directory}/unbound", "-d", "-c", self._configuration]

    def prepare(self) -> None:
        """A copy of the program: AppArmor lets /usr/sbin/unbound read /etc/unbound only."""
        shutil.copy(tool("unbound"), self.directory)
        text = CONFIGURATION.format(directory=self.directory, address=self.address, port=self.port)
        for zone, server in self._servers.items():
            text += f'forward-zone:\n    name: "{zone}"\n    forward-addr: {server}\n'
        (self.directory / "unbound.conf").write_text(text)

    def flush(self) -> None:
        """Nothing is remembered any more, nor who was silent."""
        for command in (["flush_zone", "."], ["flush_infra", "all"]):
            self.control("unbound-control", "-c", self._configuration, *command)

    @property
    def _configuration(self) -> str:
        return f"{self.directory}/unbound.conf"
