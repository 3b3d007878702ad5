"""Between a credential's options and the form that shows and changes them.

The form has the usual limits.  What it does not have, such as rules that the operator set on the
command line, stays as it is when the form is saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

from franking.accounts.credential_options import Options
from franking.accounts.rules import Narrowing, Rules, Window, parse
from webpanel.credentials.forms import OptionsForm

LIMITS = {  # field → rule
    "per_day": "daily_quota",
    "max_recipients": "max_recipients",
    "max_connections": "max_connections",
    "max_messages_per_connection": "max_messages_per_connection",
    "daily_spend": "daily_spend",  # micro-units
}
WINDOWS = {"per_minute": "minute", "per_hour": "hour"}  # field → unit


def values(options: Options) -> dict[str, Any]:
    """What the form's fields start with."""
    windows = {field: _window(options.rules, unit) for field, unit in WINDOWS.items()}
    return {
        "expires_on": options.expires_at.date() if options.expires_at else None,
        "stream": options.stream,
        "source_networks": "\n".join(options.source_networks),
        "sending_domains": list(options.sending_domains),
        "allow_plaintext": options.allow_plaintext,
        **{field: getattr(options.rules, rule) for field, rule in LIMITS.items()},
        **{field: window and window.most for field, window in windows.items()},
    }


def wanted(form: OptionsForm, current: Options) -> Options:
    """The current options with what the form says; raises Invalid."""
    return replace(
        current,
        stream=(form.stream.data or "").strip(),
        expires_at=_expiry(form.expires_on.data, current.expires_at),
        source_networks=tuple(form.networks()),
        sending_domains=tuple(form.sending_domains.data or ()),
        allow_plaintext=form.allow_plaintext.data,
        rules=_rules(form, current.rules),
    )


def _expiry(day: date | None, current: datetime | None) -> datetime | None:
    """Midnight UTC; the time of day that was set elsewhere stays while the day does."""
    if day is None or (current is not None and current.date() == day):
        return current if day else None
    return datetime.combine(day, time(), UTC)


def _rules(form: OptionsForm, current: Narrowing) -> Narrowing:
    limits = {rule: form[field].data for field, rule in LIMITS.items()}
    windows = list(current.windows)
    for field, unit in WINDOWS.items():
        before, most = _window(current, unit), form[field].data
        place = windows.index(before) if before else len(windows)
        now = [] if most is None else [_changed(before, unit, most)]
        windows[place : place + 1] = now
    return parse(Narrowing, current.model_dump() | limits | {"windows": windows})


def _window(rules: Rules | Narrowing, unit: str) -> Window | None:
    """The one that the form's field shows: the first that counts messages, of all addresses."""
    for window in rules.windows:
        if (window.per, window.counts) == (unit, "messages") and window.by != "address":
            return window
    return None


def _changed(before: Window | None, unit: str, most: int) -> Window:
    if before is not None:
        return before.model_copy(update={"most": most})
    return parse(Window, {"most": most, "per": unit, "by": "credential"})


def beyond(rules: Narrowing) -> list[str]:
    """Own rules that the form does not have, in the words of the command line."""
    in_form = [_window(rules, unit) for unit in WINDOWS.values()]
    windows = [str(window) for window in rules.windows if window not in in_form]
    others = rules.model_dump(
        mode="json", exclude_defaults=True, exclude={*LIMITS.values(), "windows"}
    )
    return [*windows, *(f"{name.replace('_', ' ')}: {value}" for name, value in others.items())]


def of_plan(rules: Rules) -> dict[str, int | None]:
    """What the plan allows, for each field of the form that has a limit."""
    limits: dict[str, int | None] = {field: getattr(rules, rule) for field, rule in LIMITS.items()}
    for field, unit in WINDOWS.items():
        window = _window(rules, unit)
        limits[field] = window.most if window else None
    return limits


def in_short(options: Options) -> list[str]:
    """The restrictions, a few words each."""
    return list(_in_short(options))


def _in_short(options: Options) -> Iterator[str]:
    if options.expires_at is not None:
        yield f"expires {options.expires_at:%Y-%m-%d}"
    for count, noun in (
        (len(options.source_networks), "network"),
        (len(options.sending_domains), "domain"),
    ):
        if count:
            yield f"{count} {noun}{'' if count == 1 else 's'}"
    if options.allow_plaintext:
        yield "clear text allowed"
    if options.rules != Narrowing():
        yield "own limits"
