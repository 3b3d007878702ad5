"""Where zones begin, and who serves them: what the resolvers and the parent's servers say.

Remembered for 300 seconds at most; what the servers that are found here say is remembered nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dns.rdatatype import RdataType

from franking.dns import names, reading
from franking.dns.question import Inquiry, Silent, Unanswered
from franking.dns.remembered import LONGEST, Remembered
from franking.dns.servers import Server
from franking.dns.silence import Silence
from franking.dns.wire import Message

SERVERS = 8  # names of a zone's servers that count; and addresses of each


class Zones:
    """`port`: of all zones' own servers."""

    def __init__(self, resolvers: Sequence[Server], port: int, silence: Silence) -> None:
        self._resolvers = resolvers
        self._port = port
        self._silence = silence
        self._zones = Remembered[str]()  # name: its zone
        self._servers = Remembered[tuple[str, ...]]()  # zone: names of its servers
        self._addresses = Remembered[tuple[str, ...]]()  # type and host: addresses

    def known(self, name: str) -> str | None:
        """The closest zone around the name that has been heard of; there may be a closer one."""
        return next((up for up in names.upwards(name) if self._zones.get(up) == up), None)

    def zone_of(self, name: str, inquiry: Inquiry, tries: int = 2) -> str:
        """Raises Unanswered."""
        zone = self._zones.get(name)
        if zone is None:
            zone, seconds = self._find(name, inquiry, tries)
            self._zones.put(name, zone, seconds)
            self._zones.put(zone, zone, seconds)
        return zone

    def around(self, name: str, inquiry: Inquiry) -> str:
        """The name's zone; if its servers are in trouble, the closest zone above that is not.

        From there a referral leads to those servers, and to what their trouble is.  Raises
        Unanswered.
        """
        trouble = None
        for up in names.upwards(name):
            try:
                return self.zone_of(up, inquiry, tries=1)
            except Unanswered as error:
                trouble = trouble or error
        raise trouble or Unanswered(f"{name!r} is no name")

    def referred(self, zone: str, message: Message) -> None:
        """A server of the zone above has just said who serves this one."""
        self._zones.put(zone, zone, LONGEST)
        self._servers.put(zone, *self._delegated(zone, message))

    def doubt(self, zone: str) -> None:
        """Those thought to be its servers are of no use: it may have moved."""
        self._servers.drop(zone)

    def _delegated(self, zone: str, message: Message) -> tuple[tuple[str, ...], int]:
        """Glue is taken as resolvers take it: a zone may have none but servers of its own."""
        for type, host, addresses, seconds in reading.glue(message, zone):
            self._addresses.put(_key(type, host), addresses[:SERVERS], seconds)
        hosts, seconds = reading.nameservers(message, zone)
        return hosts[:SERVERS], seconds

    def servers(self, zone: str, inquiry: Inquiry, *, refer: bool = True) -> Iterator[Server]:
        """Looked up one by one, as they are wanted; those lately silent, and IPv6, come last.

        Raises Unanswered.
        """
        late = []
        hosts = self._hosts(zone, inquiry, refer=refer)
        for type in (RdataType.A, RdataType.AAAA):
            for host in hosts:
                for address in self._addresses_of(host, type, inquiry):
                    server = Server(address, self._port)
                    if self._silence.is_late(server):
                        late.append(server)
                    else:
                        yield server
        yield from late

    def _resolve(self, name: str, type: RdataType, inquiry: Inquiry, tries: int = 2) -> Message:
        """Of the first resolver that answers; raises Unanswered: the last one's trouble."""
        trouble = Unanswered("no resolver")
        for server in sorted(self._resolvers, key=self._silence.is_late):
            try:
                return inquiry.ask(server, name, type, recurse=True, tries=tries)
            except Unanswered as error:
                trouble = error
                if isinstance(error, Silent):
                    self._silence.of(server)
        raise trouble

    def _find(self, name: str, inquiry: Inquiry, tries: int) -> tuple[str, int]:
        """The zone and seconds.  NXDOMAIN and NODATA name the zone, too, unless a resolver has
        stripped the answer, as systemd-resolved does: then it is sought step by step.
        """
        for up in names.upwards(name):
            message = self._resolve(up, RdataType.SOA, inquiry, tries)
            if message.answer and message.answer[0].rdtype == RdataType.CNAME:
                return self._zone_of_alias(up, inquiry), LONGEST
            found = reading.apex(message, up)
            if found is not None:
                return found
        raise Unanswered(f"the resolvers know no zone for {name}")

    def _zone_of_alias(self, name: str, inquiry: Inquiry) -> str:
        """A CNAME hides the SOA record, also that of a zone which has both, against the rules."""
        above = self.zone_of(names.parent(name), inquiry)
        hosts, _ = self._referral(name, inquiry)
        return name if hosts else above

    def _hosts(self, zone: str, inquiry: Inquiry, *, refer: bool = True) -> tuple[str, ...]:
        """The names of its servers: as the zone above refers to them, because a resolver may go on
        for days with those that the zone had before it moved; else as resolvers know them.

        Raises Unanswered.
        """
        hosts = self._servers.get(zone)
        if hosts is not None:
            return hosts
        hosts, seconds = self._referral(zone, inquiry) if refer else ((), 0)
        if not hosts:
            hosts, seconds = reading.nameservers(self._resolve(zone, RdataType.NS, inquiry), zone)
        if not hosts:
            raise Unanswered(f"{zone} has no name servers")
        self._servers.put(zone, hosts := hosts[:SERVERS], seconds)
        return hosts

    def _referral(self, zone: str, inquiry: Inquiry) -> tuple[tuple[str, ...], int]:
        """What the zone above says; nothing if it says nothing.  A short try: it is the detour."""
        if zone == names.ROOT:
            return (), 0
        try:
            above = self.zone_of(names.parent(zone), inquiry)
            server = next(self.servers(above, inquiry, refer=False))
        except (Unanswered, StopIteration):
            return (), 0
        try:
            message = inquiry.ask(server, zone, RdataType.NS, recurse=False)
        except Unanswered as error:
            if isinstance(error, Silent):
                self._silence.of(server)
            return (), 0
        return self._delegated(zone, message)

    def _addresses_of(self, host: str, type: RdataType, inquiry: Inquiry) -> tuple[str, ...]:
        """None, if they cannot be had."""
        key = _key(type, host)
        addresses = self._addresses.get(key)
        if addresses is None:
            try:
                answer = reading.answer(host, type, self._resolve(names.plain(host), type, inquiry))
            except (Unanswered, names.NotAName):
                return ()
            addresses = answer.values[:SERVERS]
            self._addresses.put(key, addresses, answer.ttl)
        return addresses


def _key(type: RdataType, host: str) -> str:
    return f"{type.name} {host}"
