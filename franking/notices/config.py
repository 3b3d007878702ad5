"""The section `[notices]` of the settings: the mail server that takes notices, and from whom."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class Notices(BaseModel):
    """A mail server that takes mail from this host.

    The relay's own port 25 does not: use 587 with a credential of an account of your own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_address: str = Field("", description="sender of notices; without it none are mailed")
    smtp_host: str = "localhost"
    smtp_port: int = Field(25, ge=1, le=65535)
    starttls: bool = Field(False, description="or else send nothing; the certificate is checked")
    username: str = ""
    password: SecretStr = SecretStr("")
    timeout: float = Field(20, gt=0, description="seconds for each answer of that server")
    every: float = Field(5, gt=0, description="seconds between looks for notices to be mailed")

    @model_validator(mode="after")
    def _is_an_address(self) -> Notices:
        local_part, _, domain = self.from_address.rpartition("@")
        if self.from_address and not (local_part and domain and self.from_address.isascii()):
            raise ValueError(f"from_address: {self.from_address!r} is not an address")
        return self
