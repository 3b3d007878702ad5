"""Files as each service writes them, and what they put on the list."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from franking.mail.config import Suppressions
from franking.mail.suppression_files import formats, importing
from franking.mail.suppression_files.importing import Result, Wanted
from franking.reasons import Invalid

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
THEN = datetime(2026, 1, 7, 19, 25, 45, tzinfo=UTC)
SECONDS = int(THEN.timestamp())
DATA = Path(__file__).parents[3] / "data/suppressions"


def taken(
    text: str | bytes, scope: str = "account", name: str = "", rules: Suppressions | None = None
) -> tuple[Result, list[Any]]:
    data = text.encode() if isinstance(text, str) else text
    rows: list[Any] = []

    def store(batch: Any) -> int:
        rows.extend(batch)
        return len(batch)

    wanted = Wanted(7, rules or Suppressions(), NOW, scope, name)
    return importing.take(io.BytesIO(data), wanted, store=store), rows


def entries(text: str | bytes, scope: str = "account", name: str = "") -> list[str]:
    """`address reason scope:name`"""
    return [
        f"{row['address']} {row['reason']} {row['scope']}:{row['scope_name']}".removesuffix(":")
        for row in taken(text, scope, name)[1]
    ]


@pytest.mark.parametrize("name", [path.stem for path in sorted(DATA.glob("*.expected"))])
def test_what_others_export(name: str) -> None:
    text = Path(DATA, name).read_bytes()
    assert entries(text) == Path(DATA, f"{name}.expected").read_text().splitlines()
    result, rows = taken(text)
    service = name.partition("-")[0].partition(".")[0]
    assert service in result.format.lower().replace("a list of ", "")
    assert result.faults == []
    undated = service == "addresses" or "import" in name
    assert {row["created_at"].replace(microsecond=0) for row in rows} == {NOW if undated else THEN}


def test_bounces_are_judged_by_what_was_said() -> None:
    result, rows = taken(Path(DATA, "sendgrid-bounces.csv").read_bytes())
    assert dict(result.left_out) == {formats.NOT_ABOUT_IT: 1, formats.PASSING: 1}
    assert [row["expires_at"] for row in rows] == [None, None, NOW + timedelta(days=14)]
    thirty = Suppressions(hard_days=30)
    _, rows = taken(Path(DATA, "ses.csv").read_bytes(), rules=thirty)
    assert [row["expires_at"] for row in rows] == [NOW + timedelta(days=30), None]


def test_objects_that_cannot_be_used() -> None:
    bounce = {"created": SECONDS, "email": "a@x.yz", "reason": "550 no such user", "status": None}
    result, rows = taken(
        json.dumps([bounce, {**bounce, "email": None}, "b@x.yz", {"email": "c@x"}])
    )
    assert [row["address"] for row in rows] == ["a@x.yz"]
    assert [fault.line for fault in result.faults] == [2, 3, 4]


def test_what_people_want_may_be_for_one_stream() -> None:
    text = "EmailAddress,Reason\na@x.yz,BOUNCE\nb@x.yz,COMPLAINT\n"
    assert entries(text, "stream", "news") == [
        "a@x.yz hard_bounce account",
        "b@x.yz complaint stream:news",
    ]
    with pytest.raises(Invalid):
        entries(text, "domain", "no domain")


def test_our_own() -> None:
    text = (
        "address,scope,reason,created_at,expires_at,note\n"
        "c@x.yz,account,manual,,2026-01-01T00:00:00+00:00,over\n"
        "d@x.yz,world,manual,,,\n"
        "e@x.yz,account,because,,,\n"
        "f@x.yz,account,manual,,soon,\n"
        "g@x.yz\n"
        "h@x.yz,stream,manual,,,\n"
    )
    result, rows = taken(text)
    assert rows == []
    assert dict(result.left_out) == {"its time is over": 1}
    assert [fault.line for fault in result.faults] == [3, 4, 5, 6, 7]
    _, rows = taken(Path(DATA, "franking.csv").read_bytes())
    assert rows[0]["note"] == "=1+1"
    assert rows[1]["expires_at"] == datetime(2099, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "data",
    [
        "address;scope;reason\na@x.yz;account;manual\n",
        "address\tscope\treason\r\na@x.yz\taccount\tmanual\r\n",
        '\n\n"address", "scope", "reason"\n"a@x.yz", "account", "manual"\n',
        "\ufeffaddress,scope,reason\na@x.yz,account,manual\n".encode(),
        "address,scope,reason\na@x.yz,account,manual\n".encode("utf-16"),
    ],
)
def test_however_it_is_written(data: str | bytes) -> None:
    assert entries(data) == ["a@x.yz manual account"]


@pytest.mark.parametrize(
    "data",
    [
        "", "\n\n", "name,size\nx,1\n", "x" * 20_000, "[]", "{}", "{", "[1]", "[" * 100_000,
        "PK\x03\x04", b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n\x00\x00",
    ],
)  # fmt: skip
def test_what_is_no_list(data: str | bytes) -> None:
    with pytest.raises(Invalid):
        taken(data)


def test_what_cannot_be_used_is_told_by_its_line() -> None:
    lines = ["email", "a@x.yz", "nobody", '"x>, status=sent"@x.yz', "", "b@x.yz", "\x00@x.yz", ""]
    result, rows = taken("\n".join(lines))
    assert [row["address"] for row in rows] == ["a@x.yz", "b@x.yz"]
    assert [fault.line for fault in result.faults] == [3, 4, 7]
    assert (result.read, result.entries, result.unusable) == (5, 2, 3)


def test_a_stray_quote_takes_only_what_it_swallows() -> None:
    huge = "a@x.yz\n" * 30_000
    result, _rows = taken('email\nfirst@x.yz\n"' + huge + "last@x.yz\n")
    assert result.unusable >= 1
    assert result.faults[0].line == 3


def test_only_the_first_faults_are_told() -> None:
    result, _rows = taken("email\n" + "nobody\n" * 1000)
    assert (len(result.faults), result.unusable) == (importing.MOST_FAULTS, 1000)


def test_in_batches() -> None:
    sizes: list[int] = []
    seen: list[int] = []

    def store(batch: Sequence[Any]) -> int:
        sizes.append(len(batch))
        return 1

    result = importing.take(
        io.BytesIO(b"email\n" + b"".join(b"a%d@x.yz\n" % n for n in range(1201))),
        Wanted(7, Suppressions(), NOW),
        store=store,
        progress=lambda now: seen.append(now.read),
    )
    assert sizes == [500, 500, 201]
    assert seen == [500, 1000, 1201]
    assert result.changed == 3
