"""The section `[accounting]` of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Accounting(BaseModel):
    """Hourly files of each account's events; written on the host that serves them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path | None = Field(
        None, description="where the files are; None: this host writes and serves none"
    )
    compression: Literal["gzip", "zstd"] = "gzip"
    minutes: int = Field(60, ge=1, le=60, description="how long one file is; a divisor of 60")
    sftp_host: str = Field("", description="what customers are told; empty: no SFTP is offered")
    sftp_port: int = 22
