"""Questions and answers as octets (RFC 1035 §4), before dnspython has seen them.

Questions, because dnspython needs as long to write one as to read its answer, and ten thousand
domains are asked about a hundred thousand times.  Answers, because dnspython (2.9.2) remembers for
the whole process how to read each type of each class that it meets: one record `ANY AAAA` in a
stranger's answer, and no AAAA record is understood any more; thousands of invented classes, and
memory is gone.  So nothing but the Internet's class gets that far.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdata
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from franking.dns.names import ROOT

PAYLOAD = 1232  # octets that pass everywhere in one piece (DNS flag day 2020)

Message = dns.message.QueryMessage

_HEADER = struct.Struct("!6H")  # number, flags, and how many records each section has
_RECORD = struct.Struct("!HHIH")  # type, class, TTL, length
_OPT = b"\0" + _RECORD.pack(RdataType.OPT, PAYLOAD, 0, 0)  # RFC 6891 §6.1.2
_POINTER = 0xC0


def load_types() -> None:
    """Now, and no more later: what a stranger's answer names is no reason to look for a module."""
    dns.rdata.load_all_types()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Question:
    """`name` as `names.plain` makes it, so its labels have their lengths."""

    number: int
    text: bytes
    wire: bytes

    @classmethod
    def about(cls, name: str, type: RdataType, *, recurse: bool, edns: bool) -> Question:
        labels = [] if name == ROOT else name.encode("ascii").split(b".")
        text = b"".join(bytes((len(label),)) + label for label in labels)
        text += b"\0" + struct.pack("!HH", type, RdataClass.IN)
        number = secrets.randbits(16)
        flags = int(dns.flags.RD) if recurse else 0
        head = _HEADER.pack(number, flags, 1, 0, 0, edns)
        return cls(number, text, head + text + (_OPT if edns else b""))

    def is_answered_by(self, wire: bytes) -> bool:
        """Servers that refuse may leave out what they refuse."""
        if len(wire) < _HEADER.size:
            return False
        number, flags, questions, *_ = _HEADER.unpack_from(wire)
        if number != self.number or not flags & dns.flags.QR:
            return False
        if not questions:
            return flags & 0xF not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
        asked = wire[_HEADER.size : _HEADER.size + len(self.text)]
        return questions == 1 and asked.lower() == self.text.lower()


def is_cut_off(wire: bytes) -> bool:
    return bool(_HEADER.unpack_from(wire)[1] & dns.flags.TC)


def read(wire: bytes) -> Message | None:
    """Nothing, if it cannot be read."""
    try:
        if not _is_of_the_internet(wire):
            return None
        message = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError, IndexError, struct.error):
        return None
    return message if isinstance(message, Message) else None


def _is_of_the_internet(wire: bytes) -> bool:
    """All records; the class of OPT is a size.  Raises IndexError and struct.error."""
    _, _, questions, *others = _HEADER.unpack_from(wire)
    at = _HEADER.size
    for _ in range(questions):
        at = _after_name(wire, at) + 4
    for _ in range(sum(others)):
        at = _after_name(wire, at)
        type, kind, _, length = _RECORD.unpack_from(wire, at)
        if kind != RdataClass.IN and type != RdataType.OPT:
            return False
        at += _RECORD.size + length
    return True


def _after_name(wire: bytes, at: int) -> int:
    while (length := wire[at]) < _POINTER:
        at += 1 + length
        if not length:
            return at
    return at + 2
