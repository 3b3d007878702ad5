"""Why a login failed: the reasons inside Postfix's `535 5.7.8 Error: authentication failed: …`.

Text is what the client reads; cause and fix stand on the public page of that reply
(`/e/authentication_failed`) and beside the refusal in the panel.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """`text` may hold one `{}` for what is particular."""

    text: str
    cause: str
    fix: str

    @property
    def title(self) -> str:
        """The text for people, with … for what is particular."""
        return self.text.replace("{}", "…")


# "failed" and "email" are said to anybody, the others only to who has proved the secret.
AUTH_REASONS: dict[str, Reason] = {
    "failed": Reason(
        "invalid SMTP username or API key",
        "There is no such user name, or the API key is not the one that belongs to it. The reply"
        " does not say which, so that nobody can try out user names.",
        "Copy both again from the panel, without a space before or after. A key that is lost is"
        " replaced there: rotate the credential.",
    ),
    "email": Reason(
        "log in with the SMTP user name, not with an e-mail address",
        "The user name has an @ in it. The address with which you log in to the panel is no SMTP"
        " user name.",
        "Use the user name on the panel's Credentials page, or put the API key into both fields.",
    ),
    "revoked": Reason(
        "this API key was revoked",
        "Somebody of your account, or the operator, has revoked the credential for good.",
        "Create another credential and put its user name and API key into the application.",
    ),
    "suspended": Reason(
        "this account is suspended",
        "The operator has suspended sending for the account. User name and API key are right.",
        "Contact support; the reason stands in the panel.",
    ),
    "expired": Reason(
        "this API key has expired",
        "The credential has an expiry date, and it is over.",
        "Set a later date on the credential's page in the panel, or use another credential.",
    ),
    "rotated": Reason(
        "this API key was rotated and its time is over",
        "The credential got a new API key, and the time for which the old one went on working has"
        " ended.",
        "Put the new API key into the application; the user name is the same. The credential's"
        " page in the panel shows which clients still used the old one.",
    ),
    "address": Reason(
        "this API key may not be used from your address",
        "The credential is limited to certain source networks, and the client's address is in"
        " none of them.",
        "Add the address to the credential's networks in the panel; the Refused page shows from"
        " where it came. Behind NAT that is the public address.",
    ),
    "plaintext": Reason(
        "encryption required for this key",
        "The client logged in without TLS. The API key has now been sent in the clear.",
        "Turn on TLS in the application and rotate the credential. For a device that cannot use"
        " TLS, allow clear text on the credential, together with the device's address.",
    ),
    "mechanism": Reason(
        "this port takes AUTH {} only",
        "The client chose a login mechanism that this port does not take.",
        "Set the mechanism (or authentication method) of the application to PLAIN, or to"
        " “automatic”.",
    ),
}  # fmt: skip


def auth_reason(reply: str) -> str | None:
    """Which reason is in this text of a 535: its key."""
    return next((k for k, r in AUTH_REASONS.items() if r.text.partition("{}")[0] in reply), None)
