"""A credential narrows its plan and never widens it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.accounts import rules
from franking.accounts.credential_options import wider
from franking.accounts.rules import Narrowing, Rules, Window, parse_window, stored

EXTENSIONS = ("pdf", "exe", "png", "docx")
HEADERS = ("keep", "allowlist", "drop")

limits = st.none() | st.integers(1, 50)
extensions = st.lists(st.sampled_from(EXTENSIONS), unique=True).map(tuple)
windows = st.lists(
    st.builds(
        Window,
        most=st.integers(1, 50),
        per=st.sampled_from(["second", "minute", "day"]),
        counts=st.sampled_from(["messages", "recipients"]),
        by=st.sampled_from(["account", "credential", "address"]),
        on_excess=st.sampled_from(["defer", "reject", "hold"]),
    ),
    max_size=3,
).map(tuple)
alike: dict[str, Any] = {
    "attachments_allowed": extensions,
    "attachments_denied": extensions,
    "max_message_bytes": limits,
    "max_recipients": limits,
    "max_connections": limits,
    "daily_quota": limits,
    "windows": windows,
}
plans = st.builds(
    Rules,
    subject_required=st.booleans(),
    custom_headers=st.sampled_from(HEADERS),
    mail_clients_allowed=st.booleans(),
    max_messages_per_connection=st.integers(1, 50),
    **alike,
)
narrowings = st.builds(
    Narrowing,
    subject_required=st.none() | st.booleans(),
    custom_headers=st.none() | st.sampled_from(HEADERS),
    mail_clients_allowed=st.none() | st.booleans(),
    max_messages_per_connection=limits,
    **alike,
)


def no_more(value: int | None, *bounds: int | None) -> bool:
    return all(bound is None or (value is not None and value <= bound) for bound in bounds)


def passes(allowed: tuple[str, ...], denied: tuple[str, ...], name: str) -> bool:
    return name not in denied and (not allowed or name in allowed)


def most_of(found: Rules, like: Window, by: str) -> int | None:
    """The least number of such windows, for who is counted so."""
    matching = [
        w.most for w in found.counted() if (w.per, w.counts, w.by) == (like.per, like.counts, by)
    ]
    return min(matching, default=None)


@given(plans, narrowings)
def test_never_laxer_than_the_plan_nor_than_the_credential(plan: Rules, own: Narrowing) -> None:
    found = rules.effective(stored(plan), stored(own))
    assert found.subject_required >= max(plan.subject_required, bool(own.subject_required))
    assert found.mail_clients_allowed <= plan.mail_clients_allowed
    assert found.mail_clients_allowed <= (own.mail_clients_allowed is not False)
    for name in ("max_message_bytes", "max_recipients", "max_messages_per_connection"):
        assert no_more(getattr(found, name), getattr(plan, name), getattr(own, name))
    assert no_more(found.max_connections, plan.max_connections, own.max_connections)
    strictness = HEADERS.index(found.custom_headers)
    assert strictness >= HEADERS.index(plan.custom_headers)
    assert strictness >= HEADERS.index(own.custom_headers or "keep")
    for name in (*EXTENSIONS, "txt"):
        if passes(found.attachments_allowed, found.attachments_denied, name):
            assert passes(plan.attachments_allowed, plan.attachments_denied, name)
            assert passes(own.attachments_allowed, own.attachments_denied, name)
    assert set(plan.counted()) <= set(found.counted())
    for window in own.windows:
        by = "credential" if window.by == "account" else window.by
        assert no_more(most_of(found, window, by), window.most)
    if own.daily_quota is not None:
        day = Window(most=own.daily_quota, per="day")
        assert no_more(most_of(found, day, "credential"), own.daily_quota)


@given(plans)
def test_what_is_no_stricter_than_the_plan_is_not_wider(plan: Rules) -> None:
    plan = plan.model_copy(update={"windows": plan.windows[:1]})  # else one may undercut another
    same = {name: getattr(plan, name) for name in Narrowing.model_fields}
    if not set(plan.attachments_allowed) & set(plan.attachments_denied):
        assert list(wider(plan, Narrowing(**same))) == []
    assert list(wider(plan, Narrowing())) == []


PLAN = Rules(
    subject_required=True,
    attachments_allowed=("pdf", "png"),
    attachments_denied=("docx",),
    max_message_bytes=1000,
    max_recipients=10,
    custom_headers="allowlist",
    mail_clients_allowed=False,
    max_messages_per_connection=5,
    max_connections=3,
    daily_quota=100,
    windows=(parse_window("100/minute"), parse_window("10/second by address")),
)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"subject_required": False}, "subject_required: the plan requires"),
        ({"attachments_allowed": ("pdf", "exe")}, "the plan allows pdf, png only, not exe"),
        ({"max_message_bytes": 1001}, "max_message_bytes: 1001 is more than the plan's 1000"),
        ({"max_recipients": 11}, "max_recipients: 11"),
        ({"custom_headers": "keep"}, "custom_headers: the plan says allowlist"),
        ({"mail_clients_allowed": True}, "mail_clients_allowed"),
        ({"max_messages_per_connection": 6}, "max_messages_per_connection"),
        ({"max_connections": 4}, "max_connections"),
        ({"daily_quota": 101}, "daily_quota"),
        ({"windows": (parse_window("101/minute"),)}, "windows: 101/minute"),
        ({"windows": (parse_window("101/minute by credential"),)}, "windows: 101/minute"),
        ({"windows": (parse_window("101/minute by address"),)}, "windows: 101/minute"),
        ({"windows": (parse_window("11/second by address"),)}, "windows: 11/second"),
    ],
)
def test_what_is_wider_is_said(own: dict[str, Any], said: str) -> None:
    ((rule, sentence),) = wider(PLAN, Narrowing(**own))
    assert said in f"{rule.partition('.')[0]}: {sentence}"
    assert rule.partition(".")[0] in own


def test_what_the_plan_denies_cannot_be_allowed() -> None:
    plan = Rules(attachments_denied=("exe",))
    assert list(wider(plan, Narrowing(attachments_allowed=("pdf", "exe")))) == [
        ("attachments_allowed", "the plan denies exe")
    ]


@pytest.mark.parametrize(
    "own",
    [
        {"subject_required": True, "attachments_allowed": ("pdf",), "custom_headers": "drop"},
        {"attachments_denied": ("png",), "max_recipients": 10, "daily_quota": 1},
        {"windows": (parse_window("100/minute"), parse_window("5000/day"))},
        {"windows": (parse_window("500/minute recipients"),)},
        {"windows": (parse_window("50/second by credential"),)},  # from five addresses
    ],
)
def test_what_is_narrower_is_fine(own: dict[str, Any]) -> None:
    assert list(wider(PLAN, Narrowing(**own))) == []
