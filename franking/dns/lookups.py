"""`Resolvers`: the real `Lookup`, over the network.

A name's own zone is asked as a resolver would do it: from the closest zone that is known, down the
referrals, to the servers that answer with authority.  The next server is asked when one is silent,
refuses, or turns out not to serve the zone (lame); the first that answers is believed.  Answers
are never remembered, only where zones begin (`zones.py`).
"""

from __future__ import annotations

import contextlib
from itertools import chain

import dns.exception
import dns.flags
import dns.resolver
from dns.rdatatype import RdataType

from franking.dns import names, reading
from franking.dns.answers import Answer
from franking.dns.config import Dns
from franking.dns.question import Inquiry, OutOfPatience, Silent, Unanswered
from franking.dns.servers import Server
from franking.dns.silence import Silence
from franking.dns.wire import Message, load_types
from franking.dns.zones import Zones

ALIASES = 8  # CNAMEs that are followed from zone to zone
REFERRALS = 8
TROUBLES = 3  # servers whose trouble is told


class Resolvers:
    def __init__(self, own: Dns) -> None:
        load_types()
        self._timeout = own.timeout
        self._resolvers = [Server.parse(text) for text in own.resolvers] or of_this_host()
        self._silence = Silence()
        self._zones = Zones(self._resolvers, own.authoritative_port, self._silence)

    def resolved(self, name: str, type: str) -> list[Answer]:
        return [self._resolved_by(server, name, type) for server in self._resolvers]

    def authoritative(self, name: str, type: str) -> Answer:
        trail: list[str] = []
        try:
            asked, wanted, inquiry = names.plain(name), _type(type), Inquiry(self._timeout)
            trail.append(asked)
            while True:
                message, server = self._with_authority(asked, wanted, inquiry)
                target = reading.alias(message)
                if target is None:
                    return reading.answer(trail[0], wanted, message, server, tuple(trail[1:]))
                if target in trail or len(trail) > ALIASES:
                    raise Unanswered("CNAMEs without end")
                trail.append(asked := target)
        except (Unanswered, ValueError) as error:
            return _trouble(name, type, error, aliases=tuple(trail[1:]))

    def zone_of(self, name: str) -> str | None:
        try:
            return self._zones.zone_of(names.plain(name), Inquiry(self._timeout))
        except (Unanswered, ValueError):
            return None

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        """A CNAME is not followed; servers that refer to others do not know: that is trouble."""
        try:
            top, asked, wanted = names.plain(zone), names.plain(name), _type(type)
            message, server = self._of_servers(top, asked, wanted, Inquiry(self._timeout))
            below = reading.referral(message, top, asked)
            if below is not None:
                raise Unanswered(f"{below} is delegated to other servers")
            target = reading.alias(message)
            if target is not None:
                return Answer(asked, wanted.name, "nodata", aliases=(target,), server=server)
            return reading.answer(asked, wanted, message, server)
        except (Unanswered, ValueError) as error:
            return _trouble(name, type, error)

    def _resolved_by(self, server: Server, name: str, type: str) -> Answer:
        try:
            asked, wanted, inquiry = names.plain(name), _type(type), Inquiry(self._timeout)
            message = inquiry.ask(server, asked, wanted, recurse=True, tries=2)
            return reading.answer(asked, wanted, message, str(server))
        except (Unanswered, ValueError) as error:
            return _trouble(name, type, error, str(server))

    def _with_authority(self, name: str, type: RdataType, inquiry: Inquiry) -> tuple[Message, str]:
        """From the closest zone that is known; if that fails, from where the resolvers say."""
        known = self._zones.known(name)
        if known is None:
            return self._downwards(self._zones.around(name, inquiry), name, type, inquiry)
        try:
            return self._downwards(known, name, type, inquiry)
        except Unanswered as trouble:
            with contextlib.suppress(Unanswered):
                zone = self._zones.zone_of(name, inquiry)
                if zone != known:
                    return self._downwards(zone, name, type, inquiry)
            raise trouble

    def _downwards(
        self, zone: str, name: str, type: RdataType, inquiry: Inquiry
    ) -> tuple[Message, str]:
        for _ in range(REFERRALS):
            message, server = self._of_servers(zone, name, type, inquiry)
            below = reading.referral(message, zone, name)
            if below is None:
                return message, server
            self._zones.referred(below, message)
            zone = below
        raise Unanswered("delegations without end")

    def _of_servers(
        self, zone: str, name: str, type: RdataType, inquiry: Inquiry
    ) -> tuple[Message, str]:
        """The first answer with authority, or referral, of the zone's servers, and whose it is.

        Those that were silent for the first time get a second chance when all have been asked.
        """
        told_before = self._silence.about(zone)
        if told_before is not None:
            raise Unanswered(told_before)
        problems: dict[Server, Unanswered] = {}
        again: list[Server] = []
        for server in chain(self._zones.servers(zone, inquiry), again):
            try:
                message = inquiry.ask(server, name, type, recurse=False)
            except OutOfPatience:
                if not problems:
                    raise
                break
            except Unanswered as error:
                problems[server] = error
                if isinstance(error, Silent) and self._silence.of(server):
                    again.append(server)
                continue
            if message.flags & dns.flags.AA or reading.referral(message, zone, name):
                self._silence.is_broken(zone)
                return message, str(server)
            problems[server] = Unanswered(f"does not serve {zone}")
        self._zones.doubt(zone)
        told = "; ".join(f"{server}: {each}" for server, each in [*problems.items()][:TROUBLES])
        if problems and all(isinstance(each, Silent) for each in problems.values()):
            self._silence.of_zone(zone, name, told)
        raise Unanswered(told or f"no address of the servers of {zone}")


def of_this_host(path: str = "/etc/resolv.conf") -> list[Server]:
    """Without the file, as the C library has it, the local host."""
    try:
        found = dns.resolver.Resolver(path)
    except dns.resolver.NoResolverConfiguration:
        return [Server("127.0.0.1")]
    return [Server(str(address), found.port) for address in found.nameservers]


def _type(text: str) -> RdataType:
    """Raises ValueError."""
    try:
        return RdataType.from_text(text)
    except dns.exception.DNSException as error:
        raise ValueError(f"not a type: {text[:100]}") from error


def _trouble(
    name: str, type: str, error: Exception, server: str = "", aliases: tuple[str, ...] = ()
) -> Answer:
    return Answer(name[:255], type, "trouble", aliases=aliases, server=server, problem=str(error))
