"""The forms of Domains.  The rules decide what a name may be."""

from __future__ import annotations

from wtforms import BooleanField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError

from franking.domains.dmarc.stages import FEWEST_DAYS, MOST_DAYS
from franking.domains.models import Domain
from franking.domains.names import LONGEST, to_unicode
from franking.domains.ownership import Method
from franking.domains.records import RelayNames
from webpanel.domains import words
from webpanel.forms import Form, Whole, readable

LONGEST_SOURCE = 64


class _Way(Form):
    method = RadioField(
        "DKIM keys",
        choices=[SelectChoice(*pair) for pair in words.METHODS.items()],
        default="cname",
        validators=[InputRequired("Choose one of the two.")],
    )

    @property
    def way(self) -> Method:
        return "cname" if "method" in self and self.method.data == "cname" else "txt"


class AddForm(_Way):
    """`method` is asked only where the relay has a zone for keys."""

    name = StringField(
        "Domain",
        description="What stands behind the @ in the From address, such as example.com or"
        " news.example.com.",
        validators=[DataRequired("Write a domain, such as example.com."), Length(max=LONGEST)],
    )

    def without_choice(self) -> AddForm:
        del self.method
        return self


class MethodForm(_Way):
    """From one way of publishing keys to the other."""


class RemoveForm(Form):
    typed = StringField("Write the domain’s name to confirm", validators=[Length(max=LONGEST)])

    def confirms(self, domain: Domain) -> bool:
        typed = (self.typed.data or "").strip().lower()
        if self.validate() and typed in (domain.name, to_unicode(domain.name)):
            return True
        self.typed.errors = [f"Write {to_unicode(domain.name)} to confirm."]
        return False


class SubdomainsForm(Form):
    allow = BooleanField("Mail from every name below it")


class HostsForm(Form):
    """What may be asked depends on what the relay offers."""

    return_path = StringField(
        "Bounces come back to",
        description="A host below the domain, such as bounce.",
        validators=[Length(max=LONGEST)],
    )
    tracking = StringField(
        "Links go through",
        description="A host below the domain, such as click; empty for none.",
        validators=[Length(max=LONGEST)],
    )

    def offering(self, relay: RelayNames) -> HostsForm:
        if not relay.bounces:
            del self.return_path
        if not relay.tracking:
            del self.tracking
        return self


class DaysForm(Form):
    days = Whole(
        "Days to watch before each step",
        description=f"{FEWEST_DAYS} to {MOST_DAYS}; 30 is usual.",
        validators=[readable, InputRequired("Write a number of days.")],
    )


class SourceForm(Form):
    """A source of reports, by its name or address, and whether its mail is the customer's."""

    source = StringField(validators=[DataRequired(), Length(max=LONGEST_SOURCE)])
    verdict = SelectField(
        choices=[SelectChoice(value or "", text) for value, text in words.VERDICTS.items()]
    )

    def validate_source(self, field: StringField) -> None:
        if not str(field.data).isprintable():
            raise ValidationError("This is no source.")
