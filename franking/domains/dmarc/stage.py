"""The three policies of DMARC, as the stages that a domain goes through (RFC 7489 §6.3)."""

from __future__ import annotations

from typing import Literal

Stage = Literal["none", "quarantine", "reject"]
STAGES: tuple[Stage, ...] = ("none", "quarantine", "reject")


def below(stage: Stage) -> Stage:
    """The milder one; none is the mildest."""
    return STAGES[max(STAGES.index(stage) - 1, 0)]


def above(stage: Stage) -> Stage | None:
    """The stricter one; None above reject."""
    place = STAGES.index(stage) + 1
    return STAGES[place] if place < len(STAGES) else None
