"""The forms of Webhooks.  The rules decide where an endpoint may be and what it may ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from wtforms import (
    DateTimeLocalField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange
from wtforms.widgets import CheckboxInput

from franking.webhooks.addresses import LONGEST
from franking.webhooks.endpoints import KINDS, LARGEST_BATCH, LONGEST_OVERLAP, Filters
from webpanel.forms import Form, Whole, readable

LONGEST_LIST = 15_000  # characters


def _ticks(label: str, description: str) -> SelectMultipleField:
    return SelectMultipleField(
        label, description=description, choices=[], option_widget=CheckboxInput()
    )


class EndpointForm(Form):
    """Where, and what of.  Nothing ticked is everything."""

    url = StringField(
        "Address",
        description="We POST JSON to it: https, and reachable from the Internet.",
        validators=[
            DataRequired("Write an address such as https://example.com/hooks."),
            Length(max=LONGEST),
        ],
    )
    events = SelectMultipleField(
        "Events",
        description="None: all of them, and those of kinds that are new one day.",
        choices=[SelectChoice(kind, kind) for kind in KINDS],
        option_widget=CheckboxInput(),
    )
    domains = _ticks("Domains", "Mail from these and what is below them. None: from all.")
    credentials = _ticks("Credentials", "Mail that was sent with these. None: with all.")
    streams = _ticks("Streams", "Mail of these. None: of all.")
    tags = TextAreaField(
        "Tags",
        description="One per line: mail that has at least one of them. Empty: with or without.",
        validators=[Length(max=LONGEST_LIST)],
    )
    batch = Whole(
        "Events in one request",
        description=f"1: each comes alone. Up to {LARGEST_BATCH}: what happens within a moment"
        " comes together, as a list.",
        default=1,
        validators=[
            InputRequired("Write a number."), readable,
            NumberRange(1, LARGEST_BATCH, "Write a number from %(min)s to %(max)s."),
        ],
    )  # fmt: skip

    def offer(
        self,
        domains: Mapping[str, str],
        credentials: Mapping[str, str],
        streams: Iterable[str],
        chosen: Filters,
    ) -> None:
        """What there is, by the name that is stored; and what was chosen and is there no more: it
        can be unticked, and does not vanish unseen."""
        self.domains.choices = _choices(domains, chosen.domains)
        self.credentials.choices = _choices(credentials, chosen.credentials)
        self.streams.choices = _choices({name: name for name in streams}, chosen.streams)

    def filters(self) -> Filters:
        return Filters(
            tuple(self.domains.data or ()),
            tuple(self.credentials.data or ()),
            tuple(line.strip() for line in re.split(r"[\r\n]+", self.tags.data or "")),
            tuple(self.streams.data or ()),
        )

    @property
    def restricts(self) -> bool:
        """Whether anything but the address and the events was said or refused."""
        others = (self.domains, self.credentials, self.streams, self.tags)
        return any(field.errors or field.data for field in others) or bool(
            self.batch.errors or self.batch.data != 1
        )


def _choices(there: Mapping[str, str], chosen: Sequence[str]) -> list[SelectChoice]:
    gone = {name: f"{name} (not there any more)" for name in chosen}
    return [SelectChoice(*pair) for pair in (gone | dict(there)).items()]


class RotateForm(Form):
    known_as = {"overlap": "days"}  # noqa: RUF012 (said in the base class)
    days = Whole(
        "Days that the old secret goes on signing",
        description="Both signatures are in each request until then. 0: it ends now.",
        default=7,
        validators=[
            InputRequired("Write a number."), readable,
            NumberRange(0, LONGEST_OVERLAP.days, "Write a number from %(min)s to %(max)s."),
        ],
    )  # fmt: skip


class Moment(DateTimeLocalField):
    """One sentence for whatever cannot be read."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError as error:
            raise ValueError("Write a day and a time, such as 2026-11-21 10:00.") from error


class SinceForm(Form):
    since = Moment(
        "Since (UTC)",
        format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        validators=[readable, InputRequired("Write a day and a time.")],
    )

    def moment(self) -> datetime:
        """Of a form that is valid."""
        assert self.since.data is not None
        return self.since.data.replace(tzinfo=UTC)
