"""Reads tests/data/zones: what the DNS says, and what a check is to say about it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from franking.dns.config import Dns
from franking.dns.lookups import Resolvers
from franking.domains.checks import Finding, check
from franking.domains.models import DkimKey, Domain
from franking.domains.records import Record, RelayNames, expected_records
from tests.dns.fakedns import FakeDns

FOLDER = Path(__file__).parents[2] / "data" / "zones"
RSA = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvR2ENKYbfuQH0a9g7D2V5k1o3wq8Jc4uXbTzLmNpEyWsRiGd"
    "fA6tHvC0xQnZlPjKu8BMeOaS2rYFgIi9V1hDw7TkX3cUo4JbmL5qWEzRyNpGsAfCvHx6QtZKdB8lOPjMuYa0eIi1rFgS"
    "2nVTwDhX9kUc3oJm7LbqEW5zyRNpsGAf4CHvxtQ6ZdKlB0OjPMaYu8eIr1FiSg2nTVDwh9XUkc3Jo7mbLqW5EzyNRpGs"
    "fA4vCHtxQ6dZKl0BOjPaMuY8eIrF1iSgn2TVwDh9kXUc3oJ7mLbq5WEzyRNpGsfA4CvHtxQ6ZdKl0BOPjMaYu8eIr1Fi"
    "SgIDAQAB"
)
ED25519 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
FOREIGN = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALforeign0123456789abcdefgforeign=="
TOKEN = "0123456789abcdef0123456789abcdef"
RELAY = RelayNames(
    bounces="bounces.relay.test",
    spf="include:spf.relay.test",
    dkim_zone="keys.relay.test",
    reports="reports.relay.test",
    tracking="links.relay.test",
    slots=("frank1", "frank2"),
)
_VALUE = re.compile(r"\{(token|rsa|ed25519|foreign)(?::(\d*):(\d*))?\}")
_VALUES = {"token": TOKEN, "rsa": RSA, "ed25519": ED25519, "foreign": FOREIGN}


@dataclass
class Expected:
    record: str
    status: str
    fault: str | None
    advice: str = ""


@dataclass
class Case:
    """`zones` by address of their server; `cached`: of a second resolver."""

    name: str
    domain: str = "shop.test"
    method: str = "txt"
    zones: dict[str, dict[str, str]] = field(default_factory=dict)
    cached: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    resolver_faults: dict[str, str] = field(default_factory=dict)
    expected: list[Expected] = field(default_factory=list)

    def records(self) -> list[Record]:
        return expected_records(*a_domain(self.domain, self.method), RELAY)

    def findings(self) -> dict[str, Finding]:
        """Of the records that something is expected of; `dkim.2` is the second of its kind."""
        wanted = {expected.record.partition(".")[0] for expected in self.expected}
        records = [record for record in self.records() if record.purpose in wanted]
        with self.lookup() as lookup:
            found = check(records, lookup, Foreign())
        kinds = [record.purpose for record in records]
        numbers = [kinds[: n + 1].count(kind) for n, kind in enumerate(kinds)]
        return {
            kind if number == 1 else f"{kind}.{number}": finding
            for kind, number, finding in zip(kinds, numbers, found, strict=True)
        }

    @contextlib.contextmanager
    def lookup(self) -> Iterator[Resolvers]:
        with contextlib.ExitStack() as stack:
            here = self.zones.get("127.0.0.1", {})
            main = stack.enter_context(FakeDns(world() | here, faults=self.faults))
            resolvers = [main]
            for address, zones in self.zones.items():
                if address != "127.0.0.1":
                    other = FakeDns(zones, address=address, port=main.port)
                    main.friends.append(stack.enter_context(other))
            if self.cached or self.resolver_faults:
                late = stack.enter_context(FakeDns(self.cached, faults=self.resolver_faults))
                late.friends.append(main)
                resolvers.append(late)
            addresses = tuple(map(str, resolvers))
            yield Resolvers(Dns(resolvers=addresses, authoritative_port=main.port, timeout=1))


class Foreign:
    def key_owner(self, public_key: str) -> str | None:
        return "another account" if public_key == FOREIGN else None


def a_domain(name: str, method: str = "txt") -> tuple[Domain, list[DkimKey]]:
    """With an RSA key and, in TXT records, an Ed25519 key; stored nowhere."""
    domain = Domain(
        name=name,
        ownership_token=TOKEN,
        dkim_method=method,
        dkim_token="k7",
        return_path_host="bounce",
        tracking_host="links",
        dmarc_token="d7",
        dmarc_stage="none",
    )
    selectors = ("frank1",) if method == "cname" else ("s2026q4", "s2026q4e")
    algorithms = zip(selectors, ("rsa-sha256", "ed25519-sha256"), (RSA, ED25519), strict=False)
    return domain, [
        DkimKey(
            id=number, selector=selector, algorithm=algorithm, public_key=public,
            state="active", method=method,
        )
        for number, (selector, algorithm, public) in enumerate(algorithms, 1)
    ]  # fmt: skip


def world() -> dict[str, str]:
    return {path.stem: filled(path.read_text()) for path in (FOLDER / "world").glob("*.zone")}


def cases() -> list[Case]:
    return [read(path) for path in sorted(FOLDER.glob("*.zone"))]


def read(path: Path) -> Case:
    case = Case(path.stem)
    zones, name = case.zones.setdefault("127.0.0.1", {}), "shop.test"
    faults = case.faults
    for line in filled(path.read_text()).splitlines():
        if not line.startswith(";;"):
            if line and not line.startswith(";"):
                zones[name] = zones.get(name, "") + line + "\n"
            continue
        word, _, rest = line[2:].strip().partition(" ")
        words = rest.split()
        match word:
            case "domain":
                case.domain = rest
            case "dkim":
                case.method = rest
            case "zone":
                name = words[0]
                zones = case.zones.setdefault(*[*words, "127.0.0.1"][1:2], {})
                zones.setdefault(name, "")
            case "resolver":
                name, zones, faults = rest, case.cached, case.resolver_faults
                zones.setdefault(name, "")
            case "fault":
                faults[" ".join(words[1:])] = words[0]
            case "expect":
                case.expected.append(Expected(*[*words, None][:3]))
            case "says":
                case.expected[-1].advice = rest
            case _:
                raise ValueError(f"{path}: {line}")
    return case


def filled(text: str) -> str:
    def value(found: re.Match[str]) -> str:
        start, end = (int(number) if number else None for number in (found[2], found[3]))
        return _VALUES[found[1]][start:end]

    return _VALUE.sub(value, text)
