"""The filters of the message list: a GET form, so that a filtered list has an address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask_wtf import FlaskForm
from wtforms import DateField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs
from wtforms.validators import Length, Optional

from franking.accounts.models import Credential
from franking.mail.messages import Filter
from franking.mail.models import MESSAGE_STATES

ANY = SelectChoice("", "Any")
_TEXT = [Optional(), Length(max=320)]


class FilterForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """Days are UTC days, both ends included.  What cannot be used is said and not applied."""

    class Meta:
        csrf = False  # it only reads, and its token would end up in shared links

    q = StringField("Queue ID or Message-ID", validators=_TEXT)
    status = SelectField("Status", default="", choices=[ANY, *map(SelectChoice, MESSAGE_STATES)])
    recipient = StringField("Recipient", validators=_TEXT)
    sender = StringField("From", validators=_TEXT)
    tag = StringField("Tag", validators=_TEXT)
    credential = SelectField("Credential", default="")
    since = DateField("From day", validators=[Optional()])
    until = DateField("To day", validators=[Optional()])

    def offer(self, credentials: Sequence[Credential]) -> None:
        self.credential.choices = [ANY, *(SelectChoice(c.username, c.name) for c in credentials)]

    def wanted(self) -> Filter:
        self.validate()
        values: dict[str, Any] = {
            field.name: (field.data.strip() if isinstance(field.data, str) else field.data) or None
            for field in self
            if not field.errors
        }
        return Filter(
            status=values.get("status"),
            recipient=values.get("recipient"),
            sender=values.get("sender"),
            tag=values.get("tag"),
            credential=values.get("credential"),
            text=values.get("q"),
            since=_midnight(values.get("since")),
            until=_midnight(values.get("until"), days=1),
        )


def _midnight(day: date | None, days: int = 0) -> datetime | None:
    if day is None or day.year > 9000:
        return None
    return datetime.combine(day, time(), UTC) + timedelta(days=days)
