"""The forms of credentials.  What is obviously no value is told here; the rules decide the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wtforms import (
    BooleanField,
    DateField,
    RadioField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs
from wtforms.validators import (
    DataRequired,
    Length,
    NumberRange,
    Optional,
    ValidationError,
)
from wtforms.widgets import CheckboxInput

from franking.accounts import networks
from franking.accounts.credentials import LONGEST_NAME
from franking.domains.models import Domain
from franking.domains.names import to_unicode
from franking.reasons import Invalid
from webpanel.forms import Amount, Form, Whole, not_negative, readable

LONGEST_LIST = 10_000  # characters
MOST = 1_000_000_000  # of any limit: counters are 64 bits wide
MOST_DAYS = 36_500  # the operator's limit is lower


def _limit(label: str) -> Whole:
    numbers = NumberRange(1, MOST, f"Write a number from 1 to {MOST:,}.")
    return Whole(label, validators=[Optional(), readable, numbers])


class _Form(Form):
    known_as = {  # noqa: RUF012 (said in the base class)
        "expires_at": "expires_on",
        "overlap": "days",
        "windows.minute": "per_minute",
        "windows.hour": "per_hour",
        "daily_quota": "per_day",
    }


class OptionsForm(_Form):
    """What a credential may be restricted to.  Empty fields restrict nothing."""

    expires_on = DateField(
        "Expires on",
        description="Refused from this day on, 0:00 UTC. Empty: it does not expire.",
        validators=[Optional()],
    )
    stream = StringField(
        "Stream",
        description="Groups messages of a kind, such as receipts or newsletter.",
        default="default",
    )
    source_networks = TextAreaField(
        "Source networks",
        description="One per line: 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32. Log-ins from"
        " anywhere else are refused. Empty: from everywhere.",
        validators=[Length(max=LONGEST_LIST)],
    )
    sending_domains = SelectMultipleField(
        "Sending domains",
        description="It may send from these and what is below them. None: from all of the account.",
        choices=[],
        option_widget=CheckboxInput(),
    )
    allow_plaintext = BooleanField("Allow log-ins without encryption")
    per_minute = _limit("Messages per minute")
    per_hour = _limit("Messages per hour")
    per_day = _limit("Messages per day")
    max_recipients = _limit("Recipients per message")
    max_connections = _limit("Connections at a time")
    max_messages_per_connection = _limit("Messages per connection")
    daily_spend = Amount("Spending per day", validators=[Optional(), readable, not_negative])

    def networks(self) -> list[str]:
        return re.findall(r"[^\s,;]+", self.source_networks.data or "")

    def validate_source_networks(self, _field: TextAreaField) -> None:
        """All that are wrong at once."""
        wrong = []
        for text in self.networks():
            try:
                networks.network(text)
            except Invalid as reason:
                wrong.append(f"{reason}.")
        if wrong:
            raise ValidationError(" ".join(wrong))

    def offer(self, domains: Sequence[Domain], chosen: Sequence[str] = ()) -> None:
        """The account's domains, and those chosen before that it no longer has: they can be
        unticked, and do not vanish unseen."""
        labels = {
            domain.name: _label(domain.name, "" if domain.verified_at else "not verified")
            for domain in domains
        }
        gone = {name: _label(name, "no longer in your account") for name in chosen}
        self.sending_domains.choices = [SelectChoice(*pair) for pair in (gone | labels).items()]

    @property
    def restricts(self) -> bool:
        """Whether anything was said or refused here: then it is shown unfolded."""
        return any(
            field.errors or (field.data and field.data != field.default)
            for field in self
            if field.name not in ("csrf_token", "name", "mode")
        )


def _label(name: str, remark: str) -> str:
    shown = to_unicode(name)
    remarks = [text for text in (name if shown != name else "", remark) if text]
    return f"{shown} ({', '.join(remarks)})" if remarks else shown


class CreateForm(OptionsForm):
    """A name and a mode, and all the options if wanted."""

    name = StringField(
        "Name",
        description="For you to recognise it by: the application or the server that will use it.",
        validators=[DataRequired("Give the credential a name."), Length(max=LONGEST_NAME)],
    )
    mode = RadioField(
        "Mode",
        choices=[SelectChoice("live", "Live"), SelectChoice("test", "Test")],
        default="live",
    )


class RotateForm(_Form):
    """How long the old secret goes on working."""

    days = Whole(
        "Days that the old secret goes on working",
        description="0: it ends now.",
        validators=[readable, NumberRange(0, MOST_DAYS, "Write a number from 0 to %(max)s.")],
    )
