"""Prompts under management: named, versioned, with labels that point at versions and variants per model family.

A version never changes once it exists; what moves are labels. The same words stand in the document, in the admin
API and in the store.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

DEFAULT_VARIANT = "default"
LIVE = "live"  # the label that a bare name means, where it is set

VariableType = Literal["string", "integer", "number", "boolean", "json"]


class Variable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value that requests bring along for a prompt."""

    type: Annotated[VariableType, Meta(description="`json` takes any JSON value and writes it compactly.")] = "string"
    required: Annotated[bool, Meta(description="Whether a request must bring it; never with a default.")] = True
    default: Annotated[Any, Meta(description="For requests that do not bring it.")] = None
    choices: Annotated[tuple[Any, ...], Meta(description="The only values it may have.")] = ()
    max_chars: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="The longest text it may be.")] = None
    description: Annotated[str | None, Meta(description="For people.")] = None


class Variant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A prompt's words for one family of models. `{{name}}` is a variable; `\\{{` is two braces."""

    system: Annotated[str | None, Meta(description="Instructions, before any of the caller's.")] = None
    user: Annotated[str | None, Meta(description="Text in front of the caller's first message.")] = None
    file: Annotated[str | None, Meta(description="In place of `system`: the file that holds it.")] = None


class Wordings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a prompt: its variables, and its words for each family of models."""

    variants: Annotated[
        dict[str, Variant],
        Meta(
            description="By `provider/model`, a model's name here, a family (openai, anthropic, gemini, llama, …), a "
            "provider's name, or `default`."
        ),
    ]
    variables: Annotated[dict[str, Variable], Meta(description="What `{{name}}` may stand for.")] = field(
        default_factory=dict
    )


class Prompt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A prompt: its versions by number, and labels that point at them."""

    versions: Annotated[dict[str, Wordings], Meta(description="By number, from 1.")]
    labels: Annotated[dict[str, int], Meta(description="Names for versions: `live` is what a bare name means.")] = (
        field(default_factory=dict)
    )


class KeptVersion(Struct, frozen=True, kw_only=True):
    """A version that was made while the gateway runs. It never changes."""

    wordings: Wordings
    at: datetime  # aware UTC
    by: str


class Move(Struct, frozen=True, kw_only=True):
    """A label that was set, moved or taken away."""

    label: str
    version: int | None  # None: taken away
    before: int | None  # None: it was not set
    at: datetime
    by: str


class Kept(Struct, frozen=True, kw_only=True):
    """A managed prompt as the store holds it, with everything that was ever done to it."""

    versions: dict[str, KeptVersion]  # by number
    labels: dict[str, int]
    moves: tuple[Move, ...] = ()
