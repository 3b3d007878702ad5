"""Aggregate reports: what a receiver says about a day's mail in the name of a domain.

`read_report` takes a message or its attachment and gives plain values.  The XML (RFC 7489,
appendix C) is read with expat as a stream: nothing of a large report is kept but its records, and
a document type or an entity is refused before it is defined, so there is nothing to expand.

What counts must be right, or the whole report is refused: who reports, its ID, its time, the
domain, each record's address and number.  What merely varies between receivers does not matter:
their order, name spaces, capitals, further elements, missing details.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from xml.parsers import expat

from franking.domains.dmarc import values
from franking.domains.dmarc.attachments import Unreadable
from franking.domains.dmarc.unpack import xml_of

__all__ = ["Auth", "Limits", "Report", "Row", "Unreadable", "read_report"]

LONGEST_PERIOD = timedelta(days=32)
MOST_RESULTS = 20  # signatures of one record
DEEPEST = 12  # elements within elements; the format has 5
MOST_ELEMENTS = 1_000_000  # a record has some 20
_ENDLESS = re.compile(rb"<[^<>]{50000}")  # a tag whose attributes would fill the memory
_DISPOSITIONS = ("none", "quarantine", "reject")
_POLICY = ("p", "sp", "np", "pct", "adkim", "aspf", "fo", "testing")
_OF_REPORT = {
    *(f"policy_published/{name}" for name in ("domain", *_POLICY)),
    *(f"report_metadata/{name}" for name in ("org_name", "report_id")),
    *(f"report_metadata/date_range/{name}" for name in ("begin", "end")),
}
_OF_RECORD = {
    *(f"row/{name}" for name in ("source_ip", "count")),
    *(f"row/policy_evaluated/{name}" for name in ("disposition", "dkim", "spf")),
    *(f"identifiers/{name}" for name in ("header_from", "envelope_from")),
}
_OF_RESULT = {"domain", "result", "selector"}


@dataclass(frozen=True)
class Limits:
    """`longest`: octets of a report, packed and unpacked; `rows`: records in it."""

    longest: int = 20 << 20
    rows: int = 10_000


@dataclass(frozen=True)
class Auth:
    """One result of DKIM or SPF: whose it is, and `pass` or what else was said."""

    domain: str
    result: str
    selector: str = ""

    @property
    def passed(self) -> bool:
        return self.result == "pass"


@dataclass(frozen=True)
class Row:
    """Messages from one address that fared alike.

    `dkim_aligned`, `spf_aligned`: passed in the name of the From domain.  `dkim`, `spf`: what was
    found in whosever name.
    """

    source_ip: str
    messages: int
    disposition: str
    dkim_aligned: bool
    spf_aligned: bool
    header_from: str
    envelope_from: str | None = None
    dkim: tuple[Auth, ...] = ()
    spf: tuple[Auth, ...] = ()


@dataclass(frozen=True)
class Report:
    """`policy`: what was published, as the receiver has read it."""

    org_name: str
    report_id: str
    begin_at: datetime
    end_at: datetime
    domain: str
    policy: dict[str, str] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()

    @property
    def messages(self) -> int:
        return sum(row.messages for row in self.rows)


def read_report(data: bytes, limits: Limits | None = None) -> Report:
    """The report in a message (RFC 5322), a gzip or zip file, or plain XML; raises Unreadable."""
    limits = limits or Limits()
    reading = _Reading(limits)
    reading.feed(xml_of(data, limits.longest))
    return reading.report()


class _Reading:
    """What expat has told so far; values by the path of their element, `row/source_ip`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._path: list[str] = []
        self._text: list[str] = []
        self._length = 0
        self._top: dict[str, str] = {}
        self._record: dict[str, str] = {}
        self._auth: dict[str, str] = {}
        self._results: dict[str, list[Auth]] = {"dkim": [], "spf": []}
        self._rows: list[Row] = []
        self._elements = 0
        self._seen = False

    def feed(self, xml: bytes) -> None:
        if _ENDLESS.search(xml):
            raise Unreadable("its XML has a tag without end")
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _no_document_type
        parser.EntityDeclHandler = _no_document_type
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(xml, True)
        except expat.ExpatError as error:
            raise Unreadable(f"its XML is broken: {error}") from error
        except (LookupError, ValueError) as error:  # an encoding that nobody knows
            raise Unreadable("its XML has an unknown encoding") from error

    def report(self) -> Report:
        if not self._seen:
            raise Unreadable("its XML is no DMARC report: there is no <feedback>")
        top = self._top
        begin_at = values.instant(top.get("report_metadata/date_range/begin", ""))
        end_at = values.instant(top.get("report_metadata/date_range/end", ""))
        if not begin_at <= end_at <= begin_at + LONGEST_PERIOD:
            raise Unreadable("its date_range is impossible")
        return Report(
            org_name=values.needed(top, "report_metadata/org_name"),
            report_id=values.needed(top, "report_metadata/report_id"),
            begin_at=begin_at,
            end_at=end_at,
            domain=values.domain_name(values.needed(top, "policy_published/domain")),
            policy={
                name: value[:64]
                for name in _POLICY
                if (value := top.get(f"policy_published/{name}", ""))
            },
            rows=tuple(self._rows),
        )

    # --- what expat calls ------------------------------------------------------------------

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2].lower()  # some write a name space's prefix
        self._elements += 1
        if len(self._path) >= DEEPEST or self._elements > MOST_ELEMENTS:
            raise Unreadable("its XML has too many elements, or elements within elements")
        self._seen |= not self._path and name == "feedback"
        self._path.append(name)
        self._text, self._length = [], 0

    def _characters(self, text: str) -> None:
        if self._length < values.LONGEST_TEXT * 4:
            self._text.append(text[: values.LONGEST_TEXT * 4])
            self._length += len(text)

    def _end(self, _name: str) -> None:
        path, value = self._path[1:], values.clean("".join(self._text))
        self._text, self._length = [], 0
        if path[:1] == ["record"]:
            self._end_in_record(path[1:], value)
        elif value and (name := "/".join(path)) in _OF_REPORT:
            self._top.setdefault(name, value)
        self._path.pop()

    def _end_in_record(self, path: list[str], value: str) -> None:
        if not path:
            self._end_of_record()
        elif path[0] == "auth_results" and len(path) == 2:
            self._end_of_result(path[1])
        elif path[0] == "auth_results":
            if len(path) == 3 and path[2] in _OF_RESULT:
                self._auth.setdefault(path[2], value)
        elif value and (name := "/".join(path)) in _OF_RECORD:
            self._record.setdefault(name, value)

    def _end_of_result(self, kind: str) -> None:
        found, self._auth = self._auth, {}
        results = self._results.get(kind)
        if results is not None and len(results) < MOST_RESULTS and found.get("domain"):
            domain = values.lenient_domain(found["domain"])
            results.append(
                Auth(domain, found.get("result", "").lower()[:16], found.get("selector", "")[:63])
            )

    def _end_of_record(self) -> None:
        found, self._record = self._record, {}
        results, self._results = self._results, {"dkim": [], "spf": []}
        row = _row(found, tuple(results["dkim"]), tuple(results["spf"]))
        if row.messages:
            if len(self._rows) >= self._limits.rows:
                raise Unreadable(f"it has more than {self._limits.rows} records")
            self._rows.append(row)


def _row(found: dict[str, str], dkim: tuple[Auth, ...], spf: tuple[Auth, ...]) -> Row:
    evaluated = "row/policy_evaluated"
    disposition = found.get(f"{evaluated}/disposition", "").lower()
    envelope = found.get("identifiers/envelope_from") or next((each.domain for each in spf), "")
    return Row(
        source_ip=values.address(found.get("row/source_ip", "")),
        messages=values.count(found.get("row/count", "")),
        disposition=disposition if disposition in _DISPOSITIONS else "none",
        dkim_aligned=found.get(f"{evaluated}/dkim", "").lower() == "pass",
        spf_aligned=found.get(f"{evaluated}/spf", "").lower() == "pass",
        header_from=values.lenient_domain(found.get("identifiers/header_from", "")),
        envelope_from=values.lenient_domain(envelope) or None,
        dkim=dkim,
        spf=spf,
    )


def _no_document_type(*_declared: object) -> None:
    raise Unreadable("its XML declares a document type or entities, which no report has")
