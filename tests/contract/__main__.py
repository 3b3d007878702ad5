"""Finds the tests of each row and writes the table into docs/contract.md."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.contract.rows import NOT_SMTP, PROMISES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "contract.md"
BEGIN, END = "<!-- rows: written by python -m tests.contract -->", "<!-- end of rows -->"
_NAMED = re.compile(r"test_(s[0-4])_(\d+)(?:_|$)")


def shown() -> dict[str, list[str]]:
    """Row → the tests that show it, as pytest names them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for row in rows_of(node):
                    found[row].append(f"{path.relative_to(ROOT)}::{node.name}")
    return dict(found)


def rows_of(test: ast.FunctionDef) -> Iterator[str]:
    if match := _NAMED.match(test.name):
        yield f"{match[1].upper()}-{match[2]}"
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.row":
            yield from (str(ast.literal_eval(argument)) for argument in decorator.args)


def table() -> str:
    lines = ["| row | promise | test |", "|---|---|---|"]
    tests = shown()
    for row, promise in PROMISES.items():
        names = "<br>".join(f"`{name}`" for name in tests.get(row, []))
        lines.append(f"| {row} | {promise} | {names or f'not SMTP: {NOT_SMTP[row]}'} |")
    return "\n".join(lines)


def document() -> str:
    """The file as it should be."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
