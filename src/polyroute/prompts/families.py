"""Which variant of a prompt a deployment gets. The nearest name wins; pure.

    provider/model, or the document's name of the model
    the family of the weights   (openai, anthropic, gemini, llama, …), read off the model's name
    the provider's name in the document
    the family of the wire      where the weights are of no family known here
    default

A family is a fact about weights, not an API: Claude at Bedrock is `anthropic`, Llama behind an OpenAI-shaped server
is `llama`. Names: each maker's own list of models, 2026.
"""

from collections.abc import Container, Iterator

from polyroute.types.cards import Deployment
from polyroute.types.prompts import DEFAULT_VARIANT

# How a model's own name begins, or what stands in it after a maker's prefix ("meta-llama/Llama-3.1-8B-Instruct").
_NAMES = (
    ("gpt-oss", "gpt-oss"), ("gpt", "openai"), ("chatgpt", "openai"), ("o1", "openai"), ("o3", "openai"),
    ("o4", "openai"), ("codex", "openai"), ("davinci", "openai"), ("claude", "anthropic"), ("gemini", "gemini"),
    ("gemma", "gemma"), ("codellama", "llama"), ("llama", "llama"), ("meta-llama", "llama"), ("mistral", "mistral"),
    ("mixtral", "mistral"), ("ministral", "mistral"), ("codestral", "mistral"), ("magistral", "mistral"),
    ("devstral", "mistral"), ("pixtral", "mistral"), ("qwen", "qwen"), ("qwq", "qwen"), ("deepseek", "deepseek"),
    ("command", "cohere"), ("c4ai", "cohere"), ("nova", "nova"), ("titan", "titan"), ("grok", "grok"), ("phi", "phi"),
    ("granite", "granite"), ("jamba", "jamba"), ("kimi", "kimi"), ("glm", "glm"), ("minimax", "minimax"),
)  # fmt: skip
_WIRES = {
    "openai_chat": "openai",
    "anthropic_messages": "anthropic",
    "gemini": "gemini",
    "bedrock_converse": "bedrock",
}
FAMILIES = frozenset(family for _, family in _NAMES) | frozenset(_WIRES.values())


def family_of(upstream_model: str) -> str | None:
    """The family of the weights; None where the name tells nothing."""
    words = upstream_model.lower().replace("/", ":").replace(":", ".").split(".")
    for word in reversed(words):
        for beginning, family in _NAMES:
            if word.startswith(beginning):
                return family
    return None


def names_for(deployment: Deployment) -> Iterator[str]:
    """Every variant's name that would fit `deployment`, the nearest first."""
    yield f"{deployment.provider}/{deployment.upstream_model}"
    yield deployment.model
    yield deployment.card.id
    family = family_of(deployment.upstream_model) or family_of(deployment.card.id.rpartition("/")[2])
    if family is not None:
        yield family
    yield deployment.provider
    if family is None and deployment.dialect in _WIRES:
        yield _WIRES[deployment.dialect]
    yield DEFAULT_VARIANT


def variant_for(variants: Container[str], deployment: Deployment) -> str:
    """`variants` holds `default`."""
    return next((name for name in names_for(deployment) if name in variants), DEFAULT_VARIANT)
