"""The forms of Suppressions.  The rules decide what an address and a scope may be."""

from __future__ import annotations

from collections.abc import Mapping

from flask_wtf.file import FileField, FileRequired
from wtforms import BooleanField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs
from wtforms.validators import DataRequired, Length, Optional

from franking.mail.suppression_files.importing import LONGEST_NOTE
from franking.mail.suppression_pages import Filter
from webpanel.forms import Form
from webpanel.suppressions import words

LONGEST = 320
FOR_EVER = "0"
TIMES = {FOR_EVER: "For ever", "7": "7 days", "30": "30 days", "90": "90 days", "365": "A year"}


def _choices(titles: Mapping[str, str], *, any_of_them: bool = False) -> list[SelectChoice]:
    some = [SelectChoice("", "Any")] if any_of_them else []
    return [*some, *(SelectChoice(value, text) for value, text in titles.items())]


class FilterForm(Form):
    """A GET form, so that a filtered list has an address.  What cannot be used is not applied."""

    class Meta:
        csrf = False  # it only reads, and its token would end up in shared links

    q = StringField("Address, or a part of one", validators=[Optional(), Length(max=LONGEST)])
    reason = SelectField(
        "Reason",
        default="",
        choices=_choices(words.REASONS, any_of_them=True),
    )
    scope = SelectField(
        "Suppressed for",
        default="",
        choices=_choices(words.SCOPES, any_of_them=True),
        id="wanted-scope",  # there is another one on the page
    )

    def wanted(self) -> Filter:
        self.validate()
        said = {field.name: field.data or "" for field in self if not field.errors}
        return Filter(said.get("q", "").strip(), said.get("reason", ""), said.get("scope", ""))


class _Scoped(Form):
    scope = SelectField("Suppressed for", choices=_choices(words.SCOPES))
    scope_name = StringField("Domain or stream", validators=[Length(max=253)])

    @property
    def named(self) -> str:
        return (self.scope_name.data or "").strip() if self.scope.data != "account" else ""


class AddForm(_Scoped):
    address = StringField(
        "Address",
        validators=[
            DataRequired("Write an address, such as anna@example.com."),
            Length(max=LONGEST),
        ],
    )
    days = SelectField("How long", choices=_choices(TIMES))
    note = StringField("Remark", validators=[Length(max=LONGEST_NOTE)])


class ImportForm(_Scoped):
    """The scope is for what people want; what bounced is for all mail."""

    file = FileField("File", validators=[FileRequired("Choose a file.")])
    check = BooleanField("Only read it, and show what would be imported", default=True)
