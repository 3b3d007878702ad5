"""The options of `franking plan create` and `set` that say what is charged besides the price.

Amounts are in the plan's currency.  Lists replace what there was; `none` empties them.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from franking.accounts.rules import parse
from franking.cli.rules import NONE
from franking.money.amounts import format_amount, parse_amount
from franking.money.terms import FEATURES, BillingUnit, OnEmpty, RefundFor, Retention, Terms
from franking.reasons import Invalid

AMOUNTS = ("monthly_fee", "overdraft")
KEPT = ", ".join(Retention.model_fields)

_F = TypeVar("_F", bound=Callable[..., Any])


def _list_of(*words: str) -> Callable[..., tuple[str, ...] | None]:
    """A callback: `a,b` given once, or several times; `none` alone is none of them."""

    def chosen(
        _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        names = [name.strip() for text in given for name in text.split(",")]
        for name in names:
            if name not in (*words, NONE):
                raise click.BadParameter(f"{name!r} is none of {', '.join((*words, NONE))}")
        return tuple(dict.fromkeys(n for n in names if n != NONE)) if names else None

    return chosen


def _listing(name: str, target: str, words: Iterable[str], about: str) -> Callable[[_F], _F]:
    words = tuple(words)
    return click.option(
        name, target, multiple=True, metavar=f"{','.join(words)}|none",
        callback=_list_of(*words), help=about,
    )  # fmt: skip


def _kept(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str] | None:
    """A callback: `messages=30,events=10` given once, or several times."""
    parts = [part.partition("=") for text in given for part in text.split(",")]
    for name, _, days in parts:
        if name not in Retention.model_fields or not days.isdecimal():
            raise click.BadParameter("write it like messages=30; there are " + KEPT)
    return {name: days for name, _, days in parts} or None


def term_options(command: _F) -> _F:
    """Adds the options; the command gets them as keyword arguments for `edited`."""
    for option in (
        _listing("--feature", "features", FEATURES, "What accounts on this plan may use."),
        click.option(
            "--keep", "retention", multiple=True, metavar="WHAT=DAYS", callback=_kept,
            help=f"How long these are kept: {KEPT}.",
        ),
        _listing(
            "--refund", "refunds", typing.get_args(RefundFor),
            "What is given back: mail that expired in our queue, that our address was blocked for.",
        ),
        click.option(
            "--hold-days", type=int, help="Days that --on-empty hold keeps mail; then it is lost."
        ),
        click.option(
            "--hold-messages", type=int,
            help="Messages of one API key that --on-empty hold keeps; then 450.",
        ),
        click.option("--grace", type=int, help="Units that may be sent without money."),
        click.option(
            "--on-empty", type=click.Choice(typing.get_args(OnEmpty)),
            help="Without money: 554, 450, --grace units more, or wait for a deposit.",
        ),
        click.option("--overdraft", help="How far below zero the balance may go, e.g. 25.00."),
        click.option("--monthly-fee", help="Such as 9.90."),
        click.option("--included", type=int, help="Units a month that cost nothing."),
        click.option(
            "--billing-unit", type=click.Choice(typing.get_args(BillingUnit)),
            help="What is counted and paid.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def edited(current: Terms, given: dict[str, Any]) -> Terms:
    """These terms with what the command line says; raises Invalid."""
    said = {name: value for name, value in given.items() if value is not None}
    for name in AMOUNTS:
        if name in said:
            said[name] = parse_amount(said[name])
    if "retention" in said:
        said["retention"] = current.retention.model_dump() | said["retention"]
    terms = parse(Terms, current.model_dump(exclude_defaults=True) | said)
    if terms.on_empty == "grace" and not terms.grace:
        raise Invalid("--on-empty grace: say with --grace how many units that are")
    return terms


def lines(terms: Terms, currency: str) -> list[str]:
    """One term a line, for people."""
    shown = []
    for name, value in terms.model_dump().items():
        if name in AMOUNTS:
            text = format_amount(value, currency)
        elif isinstance(value, tuple):
            text = ", ".join(value) or NONE
        elif isinstance(value, dict):
            text = ", ".join(f"{what} {days:,} days" for what, days in value.items())
        else:
            text = f"{value:,}" if isinstance(value, int) else str(value)
        shown.append(f"{name.replace('_', ' '):<13} {text}")
    return shown
