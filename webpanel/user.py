"""The logged-in person: franking's User with what Flask-Security asks of one.

It lives here because franking imports no Flask.  There are no roles: a user sees one account.
"""

from __future__ import annotations

from flask_security import RoleMixin, UserMixin

from franking.accounts.models import User


class PanelUser(UserMixin, User):  # type: ignore[misc]  # says `password` may be None
    """The same table, no column more."""

    @property
    def roles(self) -> list[RoleMixin]:  # type: ignore[override]  # nobody assigns to it
        return []
