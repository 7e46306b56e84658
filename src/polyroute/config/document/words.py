"""What the settings are written in: ranges, forms and the two kinds of groups."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0.0)]
NotNegative = Annotated[float, Meta(ge=0.0)]
Temperature = Annotated[float, Meta(ge=0.0, le=2.0)]
Family = Literal["openai", "anthropic", "gemini", "bedrock", "simulated", "replay"]
Millis = Annotated[float, Meta(ge=0.0)]
Failure = Literal[
    "timeout", "rate_limit", "server_error", "unreachable", "auth", "bad_request", "too_long", "refused", "malformed",
    "interrupted",
]  # fmt: skip
Names = str | tuple[str, ...]  # one name, or several in order


def about(text: str) -> Meta:
    return Meta(description=text)


def names(written: Names | None) -> tuple[str, ...]:
    """One name or a list of them, as a tuple."""
    if written is None:
        return ()
    return (written,) if isinstance(written, str) else written


class JsonObject(dict[str, object]):
    """A JSON object that is passed on as it is: a schema."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of settings. Keys it does not have are errors."""


class Later(Struct, frozen=True, kw_only=True):
    """Options of something this version knows by name only; those not listed are read by the version that has it."""
