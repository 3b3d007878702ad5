"""The one form of credentials."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from franking.accounts.credentials import LONGEST_NAME


class CreateForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """Its rules are told early here; `credentials.create` decides."""

    name = StringField(
        "Name",
        description="For you to recognise it by: the application or the server that will use it.",
        validators=[DataRequired("Give the credential a name."), Length(max=LONGEST_NAME)],
    )
