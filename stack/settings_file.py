"""Files that hold secrets: the settings in TOML, and how such a file is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def toml(tables: Mapping[str, Any]) -> str:
    """Strings, numbers, booleans, arrays and tables of them; JSON's are TOML's."""
    plain = [f"{k} = {json.dumps(v)}" for k, v in tables.items() if not isinstance(v, dict)]
    nested = [_table(k, v) for k, v in tables.items() if isinstance(v, dict)]
    return "\n".join(plain + nested) + "\n"


def _table(name: str, values: Mapping[str, Any]) -> str:
    return (
        f"\n[{name}]\n"
        + toml({k: v for k, v in values.items() if not isinstance(v, dict)})
        + "".join(_table(f"{name}.{k}", v) for k, v in values.items() if isinstance(v, dict))
    )


def merged(tables: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """Both, table by table; where both say something, what the second says."""
    both = {
        name: merged(tables[name], value)
        for name, value in stronger.items()
        if isinstance(value, dict) and isinstance(tables.get(name), dict)
    }
    return {**tables, **stronger, **both}


def write_private(path: Path, text: str) -> None:
    """Replace a file at once; only its owner can read it."""
    draft = path.with_name(path.name + ".new")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)
