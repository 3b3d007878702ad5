"""The sections `[dkim]` and `[dmarc]` of the settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class Dkim(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    selector: str = Field(
        "s{year}q{quarter}", description="of TXT records; {year}, {quarter} and {month} are dates"
    )
    ed25519: bool = Field(False, description="new domains sign with Ed25519 as well")
    rotate_months: int = Field(3, ge=0, description="age at which a key is replaced; 0: never")
    announce_days: int = Field(14, ge=1, description="a new key is made so long before its turn")
    queue_life_days: int = Field(5, ge=1, description="Postfix's maximal_queue_lifetime")
    keep_days: int = Field(7, ge=0, description="an old record stays so long after that")
    zone: str = Field(
        "", description="the relay's own zone that customers' CNAMEs point to; none: TXT only"
    )
    zone_ttl: int = Field(300, ge=1, description="seconds, of the records in that zone")
    update_server: str = Field(
        "", description="takes dynamic updates (RFC 2136) of that zone: 192.0.2.53 or host@port"
    )
    tsig_name: str = ""
    tsig_secret: SecretStr = Field(SecretStr(""), description="base64")
    tsig_algorithm: str = "hmac-sha256"
    every: float = Field(30, gt=0, description="seconds between looks at what is due")

    @field_validator("selector")
    @classmethod
    def _tells_times_apart(cls, text: str) -> str:
        try:
            made = {
                text.format(year=y, quarter=q, month=m) for y, q, m in ((2026, 1, 1), (2027, 2, 4))
            }
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            raise ValueError(f"{text!r} is no format such as s{{year}}q{{quarter}}") from error
        if len(made) < 2:
            raise ValueError(f"{text!r} must have {{year}} with {{quarter}} or {{month}}")
        return text


class Dmarc(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reports: str = Field(
        "", description="domain of the addresses that aggregate reports are sent to; none: no rua"
    )
    share: float = Field(
        98.0, gt=0, le=100, description="per cent of its own mail that must be aligned"
    )
    longest_report: int = Field(
        20 << 20, description="bytes of one report, unpacked; more is not read"
    )
    keep_days: int = Field(400, ge=90, description="days that reports are kept")
