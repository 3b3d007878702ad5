"""`franking price`: what sending costs on a plan, and from when on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from franking.accounts import audit
from franking.cli.context import Context, emit, json_option, table
from franking.db import utcnow
from franking.money import pricing
from franking.money.amounts import format_amount, parse_amount
from franking.money.models import PriceList
from franking.money.pricing import Tier
from franking.reasons import Invalid

_F = TypeVar("_F", bound=Callable[..., Any])


class _TierType(click.ParamType[Tier]):
    name = "tier"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Tier:
        above, colon, price = str(value).partition(":")
        if not (colon and above.isascii() and above.isdigit()):
            self.fail(
                f"{value!r}: write 10000:0.0008 for what is beyond 10,000 a month", param, ctx
            )
        try:
            return Tier(int(above), parse_amount(price))
        except Invalid as reason:
            self.fail(str(reason), param, ctx)


class _Start(click.ParamType[datetime]):
    name = "date"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: write 2026-12-01 or 2026-12-01T06:00", param, ctx)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def price_options(command: _F) -> _F:
    """Adds `--price` and `--tier`; the command gets `price` and `tiers` for `tiers_of`."""
    command = click.option(
        "--tier",
        "tiers",
        multiple=True,
        type=_TierType(),
        metavar="ABOVE:PRICE",
        help="Beyond so many units a month, one costs this, e.g. 10000:0.0008; many times.",
    )(command)
    return click.option(
        "--price", required=True, help="Price of one unit (the first ones), e.g. 0.001."
    )(command)


def tiers_of(price: str, tiers: Sequence[Tier]) -> list[Tier]:
    return [Tier(0, parse_amount(price)), *sorted(tiers, key=lambda tier: tier.above)]


def described(tiers: Sequence[Tier], currency: str) -> str:
    """`0.001 EUR; above 10,000 0.0008 EUR`."""
    return "; ".join(
        (f"above {tier.above:,} " if tier.above else "") + format_amount(tier.unit_price, currency)
        for tier in tiers
    )


def plain(tiers: Sequence[Tier]) -> list[dict[str, int]]:
    return [{"above": tier.above, "unit_price_micros": tier.unit_price} for tier in tiers]


@click.group()
def price() -> None:
    """Set, list and withdraw the prices of plans."""


def _describe(row: PriceList, plan: str, state: str) -> dict[str, Any]:
    tiers = pricing.tariff(row.id, row.tiers, 0).tiers
    return {
        "id": row.id,
        "plan": plan,
        "starts_at": row.starts_at,
        "state": state,
        "tiers": plain(tiers),
    }


@price.command("set")
@click.argument("name", metavar="PLAN")
@price_options
@click.option(
    "--starts", type=_Start(), metavar="DATE", help="UTC; default: now. Never in the past."
)
@json_option
@click.pass_obj
def set_(
    context: Context,
    *,
    name: str,
    price: str,
    tiers: tuple[Tier, ...],
    starts: datetime | None,
    as_json: bool,
) -> None:
    """Set what PLAN costs from a date on; what is sent before keeps its price."""
    now = utcnow()
    with context.transaction() as session:
        plan = pricing.plan_named(session, name)
        wanted, begins = tiers_of(price, tiers), starts or now
        row = pricing.set_price(session, plan, wanted, starts_at=begins, now=now)
        audit.record(
            session, None, context.actor, "price.set",
            plan=name, starts_at=begins.isoformat(), tiers=plain(wanted),
        )  # fmt: skip
        data = _describe(row, name, "coming" if begins > now else "now")
        text = described(wanted, plan.currency)
    emit(data, as_json, lambda: f"plan {name} from {begins:%Y-%m-%d %H:%M}Z: {text}")


@price.command("list")
@click.argument("name", metavar="PLAN")
@json_option
@click.pass_obj
def list_(context: Context, name: str, as_json: bool) -> None:
    """List the prices of PLAN, the latest first; those to come are among them."""
    with context.session() as session:
        plan = pricing.plan_named(session, name)
        now = utcnow()
        state, rows, shown = "now", [], []
        for row in pricing.price_lists(session, plan):
            coming = row.starts_at > now
            data = _describe(row, name, "coming" if coming else state)
            state = state if coming else "past"
            rows.append(data)
            tiers = pricing.tariff(row.id, row.tiers, 0).tiers
            shown.append((row.id, row.starts_at, data["state"], described(tiers, plan.currency)))
    emit(rows, as_json, lambda: table(("id", "starts", "state", "price of one"), shown))


@price.command("withdraw")
@click.argument("name", metavar="PLAN")
@click.argument("number", metavar="ID", type=int)
@json_option
@click.pass_obj
def withdraw(context: Context, name: str, number: int, as_json: bool) -> None:
    """Take back prices of PLAN that have not begun; `price list` shows their ID."""
    with context.transaction() as session:
        plan = pricing.plan_named(session, name)
        pricing.withdraw_price(session, plan, number, now=utcnow())
        audit.record(session, None, context.actor, "price.withdraw", plan=name, price_list=number)
    data = {"plan": name, "id": number, "withdrawn": True}
    emit(data, as_json, lambda: f"price list {number} of plan {name} is withdrawn")


def register(group: click.Group) -> None:
    group.add_command(price)
