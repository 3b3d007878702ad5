"""The section `[metrics]` of the settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Metrics(BaseModel):
    """Prometheus asks each node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = Field(
        "",
        pattern=r"^(\S+:\d{1,5})?$",
        description="ADDRESS:PORT, such as 127.0.0.1:9465; empty is nowhere",
    )
