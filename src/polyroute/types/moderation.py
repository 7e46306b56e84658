"""What was found of texts that may have to be kept out: one `Ruling` each, and what a receipt keeps of them."""

from typing import Literal

from msgspec import Struct

Stage = Literal["local", "model", "llm", "nobody"]  # who settled it, the nearest first


class Ruling(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one text."""

    flagged: bool
    score: float  # 0..1: how likely it is to be flagged, in the view of who settled it
    stage: Stage
    categories: dict[str, float] = {}  # by name, 0..1; empty: nobody said


class Moderation(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Of one request's texts together."""

    moderator: str  # the route that was asked
    flagged: int = 0
    stages: dict[Stage, int] = {}  # how many each settled
    faults: tuple[str, ...] = ()  # stages that could not be asked, and why
    elapsed_ms: float = 0.0
