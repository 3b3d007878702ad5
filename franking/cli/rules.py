"""`--rule` and `--limit`: how rules of plans and credentials are written on the command line.

    --rule subject_required=yes --rule attachments_denied=exe,js --rule max_recipients=
    --limit "100/minute" --limit "5000/day recipients reject" --limit none

What is given replaces that rule and leaves the others; nothing behind the `=` is the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from franking.accounts.rules import Narrowing, Rules, parse, parse_window
from franking.reasons import Invalid

NONE = "none"

_R = TypeVar("_R", Rules, Narrowing)
_F = TypeVar("_F", bound=Callable[..., Any])


def rule_options(command: _F) -> _F:
    """Adds both options; the command gets the tuples `rules` and `limits`."""
    command = click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="LIMIT",
        help='Such as "100/minute" or "20/second recipients by address reject"; all that are'
        " given replace those there were; `none` lifts them.",
    )(command)
    return click.option(
        "--rule",
        "rules",
        multiple=True,
        metavar="NAME=VALUE",
        help="Such as max_recipients=50 (`franking plan show` lists them); may be given many times;"
        " without a VALUE, the default.",
    )(command)


def edited(current: _R, rules: Sequence[str], limits: Sequence[str], **defaults: str) -> _R:
    """These rules with what the command line says; `defaults` are of a window.  Raises Invalid."""
    values: dict[str, Any] = current.model_dump(exclude_defaults=True)
    for rule in rules:
        name, equals, text = rule.partition("=")
        name, text = name.strip(), text.strip()
        if not equals:
            raise Invalid(f"{rule!r}: write a rule like subject_required=yes")
        if name == "windows":
            raise Invalid(f'{rule!r}: write --limit "100/minute" instead')
        if text:
            values[name] = _value(current, name, text)
        elif name in type(current).model_fields:
            values.pop(name, None)
        else:
            raise Invalid(f"{name}: there is no such rule; they are {_names(current)}")
    if limits:
        wanted = [limit for limit in limits if limit != NONE]
        values["windows"] = [parse_window(limit, **defaults) for limit in wanted]
    return _parsed(type(current), values)


def _parsed(model: type[_R], values: dict[str, Any]) -> _R:
    unknown = set(values) - set(model.model_fields)
    if unknown:
        raise Invalid(
            f"{', '.join(sorted(unknown))}: there is no such rule; they are {_names(model)}"
        )
    return parse(model, values)


def _names(model: Rules | Narrowing | type[Rules | Narrowing]) -> str:
    cls = model if isinstance(model, type) else type(model)
    return ", ".join(name for name in cls.model_fields if name != "windows")


def _value(model: Rules | Narrowing, name: str, text: str) -> object:
    if isinstance(getattr(model, name, None), tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    return int(text) if text.isascii() and text.isdigit() else text


def lines(rules: Rules | Narrowing, *, changed_only: bool = False) -> list[str]:
    """One rule a line, as `--rule` and `--limit` take it."""
    default = type(rules)()
    shown = [
        f"{name}={_text(value)}"
        for name in type(rules).model_fields
        if name != "windows"
        and ((value := getattr(rules, name)) != getattr(default, name) or not changed_only)
    ]
    return shown + [f"limit {window}" for window in rules.windows]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)
