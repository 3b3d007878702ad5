"""The section `[webhooks]` of the settings: where endpoints may be, and how long they may take."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Webhooks(BaseModel):
    """`franking-worker webhooks`, and which URLs customers may enter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ports: tuple[int, ...] = Field((443, 8443), description="of endpoints; empty is every port")
    allow_http: bool = Field(False, description="endpoints without TLS")
    allow_private: bool = Field(
        False, description="endpoints on private and loopback addresses: in a laboratory only"
    )
    ca_file: Path | None = Field(
        None, description="who signs endpoints' certificates; None is the list of Mozilla (certifi)"
    )
    threads: int = Field(
        96, ge=1, description="deliveries at the same time; most of them wait for slow endpoints"
    )
    per_endpoint: int = Field(8, ge=1, description="of them to one endpoint")
    timeout: float = Field(10, gt=0, le=20, description="seconds for a whole answer")
    poll: float = Field(0.5, gt=0, description="seconds between looks for something to deliver")
