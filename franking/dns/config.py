"""The section `[dns]` of the settings: whom to ask, and what customers are to publish."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from franking.dns.servers import Server


class Dns(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    resolvers: tuple[str, ...] = Field(
        (), description="that must all see a record; 192.0.2.53 or 127.0.0.1@5353; none: the host's"
    )
    authoritative_port: int = Field(53, ge=1, le=65535, description="of all zones' own servers")
    timeout: float = Field(3.0, gt=0, description="seconds for one question")
    concurrency: int = Field(64, ge=1, le=512, description="domains that are checked at once")
    ttl: int = Field(3600, ge=1, description="seconds that customers' records should have")
    spf: str = Field(
        "",
        description="what customers' SPF must allow: include:spf.example.net, or ip4:192.0.2.1 …",
    )
    tracking: str = Field("", description="host that tracking hosts are CNAMEs to")
    grace_days: int = Field(
        4, ge=0, description="after three failed days, before a domain is suspended"
    )

    @field_validator("resolvers")
    @classmethod
    def _can_be_asked(cls, resolvers: tuple[str, ...]) -> tuple[str, ...]:
        for text in resolvers:
            Server.parse(text)
        return resolvers
