"""The filters of the refusals: a GET form, so that a filtered list has an address."""

from __future__ import annotations

from collections.abc import Sequence

from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs
from wtforms.validators import Length, Optional

from franking.accounts.models import Credential
from franking.mail.catalogue import CATALOGUE
from franking.mail.refusals import Filter
from webpanel.forms import Form

ANY = SelectChoice("", "Any")


class FilterForm(Form):
    """What cannot be used is not applied."""

    class Meta:
        csrf = False  # it only reads, and its token would end up in shared links

    reason = SelectField(
        "Reason",
        default="",
        choices=[ANY, *(SelectChoice(key, entry.title) for key, entry in CATALOGUE.items())],
    )
    recipient = StringField("Recipient", validators=[Optional(), Length(max=320)])
    credential = SelectField("Credential", default="")

    def offer(self, credentials: Sequence[Credential]) -> None:
        self.credential.choices = [ANY, *(SelectChoice(c.username, c.name) for c in credentials)]

    def wanted(self) -> Filter:
        self.validate()
        said = {field.name: (field.data or "").strip() for field in self if not field.errors}
        return Filter(
            key=said.get("reason") or None,
            recipient=said.get("recipient") or None,
            credential=said.get("credential") or None,
        )
