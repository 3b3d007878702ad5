"""The form of a key for SFTP."""

from __future__ import annotations

from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length

from franking.accounting.access import LONGEST_LINE
from webpanel.forms import Form


class KeyForm(Form):
    key = TextAreaField(
        "Public key",
        description="The line of a .pub file, such as ssh-ed25519 AAAA… you@host.",
        validators=[
            DataRequired("Write the line of a .pub file."),
            Length(max=LONGEST_LINE, message="This is longer than a key can be."),
        ],
    )
