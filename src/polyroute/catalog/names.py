"""A model's own name, without those who pass the model on. Pure."""

# Makers that Bedrock puts before a model's own name: "eu.anthropic.claude-...".
_MAKERS = frozenset(
    ("ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "meta", "mistral", "openai", "qwen", "writer")
)


def own_name(name: str) -> str:
    """ "accounts/x/models/llama" and "eu.meta.llama" are both "llama"; `name` is in lower case."""
    name = name.rpartition("/")[2]
    head, dot, rest = name.partition(".")
    while dot and (head in _MAKERS or ("." in rest and rest.partition(".")[0] in _MAKERS)):
        name = rest
        head, dot, rest = name.partition(".")
    return name
