"""What of an answer a gate reads: the inside of a Markdown fence, code, or one member of a JSON answer. Pure."""

from polyroute.stages.validation.coercion import Wrong, read_json

_FENCE = "```"


def unfenced(text: str) -> str:
    """The inside of a Markdown code fence, where the text is one."""
    text = text.strip()
    if not (text.startswith(_FENCE) and text.endswith(_FENCE) and len(text) > 2 * len(_FENCE)):
        return text
    return text[3:-3].partition("\n")[2]


def code_in(text: str, languages: tuple[str, ...]) -> str:
    """The fenced blocks of one of `languages`, or else of none that is named; without a fence, the whole text.

    A fence that is never closed holds all that follows it: an answer may be cut.
    """
    blocks: list[tuple[str, str]] = []
    at = text.find(_FENCE)
    while at >= 0:
        label, _, rest = text[at + 3 :].partition("\n")
        inside, closed, _ = rest.partition(f"\n{_FENCE}")
        if rest.startswith(_FENCE):
            inside, closed = "", _FENCE
        blocks.append((label.strip().lower(), inside))
        at = text.find(_FENCE, at + 3 + len(label) + 1 + len(inside) + 4) if closed else -1
    if not blocks:
        return text
    named = [inside for label, inside in blocks if label in languages] or [
        inside for label, inside in blocks if not label
    ]
    return "\n".join(named)


def member(text: str, name: str) -> object:
    """The member `name` of the JSON object that `text` is, or holds as its last. Raises Wrong where there is none."""
    text = unfenced(text)
    try:
        value = read_json(text)
    except Wrong:
        start, end = text.find("{"), text.rfind("}")
        if start < 0 or end < start:
            raise Wrong("the answer is no JSON object") from None
        value = read_json(text[start : end + 1])
    if not isinstance(value, dict) or name not in value:
        raise Wrong(f"the answer has no member `{name}`")
    return value[name]
