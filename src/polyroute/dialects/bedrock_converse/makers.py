"""What the models of each maker call what Converse itself has no field for. A new maker is a row.

Source: Amazon Bedrock user guide, "Model parameters" by provider, and "Prompt caching", supported models; Amazon Nova 2
user guide, "Extended thinking"; ids as in "Supported foundation models" and "Inference profiles".
"""

from typing import Literal

from msgspec import Struct


class Maker(Struct, frozen=True, kw_only=True):
    top_k: tuple[str, ...] = ()  # the path in additionalModelRequestFields; empty: none is taken
    reasoning: Literal["thinking", "reasoningConfig", "reasoning_effort"] | None = (
        None  # the field; None: not asked for
    )
    caches: bool = False  # takes cache points


_MAKERS = {
    "anthropic": Maker(top_k=("top_k",), reasoning="thinking", caches=True),
    "amazon": Maker(top_k=("inferenceConfig", "topK"), caches=True),
    "mistral": Maker(top_k=("top_k",)),
    "openai": Maker(reasoning="reasoning_effort"),
}
_THINKING_NOVA = Maker(top_k=("inferenceConfig", "topK"), reasoning="reasoningConfig", caches=True)
_UNKNOWN = Maker()


def maker_of(upstream_model: str) -> Maker:
    """By the model's id, behind a region's prefix or an ARN: "us.anthropic.claude-…", "arn:…/anthropic.claude-…"."""
    name = upstream_model.rpartition("/")[2]
    if ".nova-2" in name:
        return _THINKING_NOVA
    head, _, rest = name.partition(".")
    return _MAKERS.get(head) or _MAKERS.get(rest.partition(".")[0], _UNKNOWN)
