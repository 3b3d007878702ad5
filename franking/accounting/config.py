"""The section `[accounting]` of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Accounting(BaseModel):
    """Hourly files of each account's events; written on the host that serves them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path | None = Field(
        None, description="where the files are; None: this host writes and serves none"
    )
    compression: Literal["gzip", "zstd"] = "gzip"
    minutes: int = Field(60, ge=1, le=60, description="how long one file is; a divisor of 60")
    sftp_host: str = Field("", description="what customers are told; empty: no SFTP is offered")
    sftp_port: int = Field(2222, ge=1, le=65535, description="of an sshd of its own")
    sftp_host_keys: tuple[str, ...] = Field(
        (), description="fingerprints that customers are shown, such as SHA256:…"
    )
    sftp_users: Path = Field(
        Path("/var/lib/franking/sftp-users"), description="the user names that this sshd knows"
    )
    sftp_first_uid: int = Field(
        200_000, ge=1000, le=1_000_000_000, description="their group; an account's number is added"
    )

    @field_validator("minutes")
    @classmethod
    def _divides_an_hour(cls, minutes: int) -> int:
        if 60 % minutes:
            raise ValueError("must be a divisor of 60")
        return minutes

    @field_validator("directory", "sftp_users")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_absolute():
            raise ValueError("must begin with /")
        return path
