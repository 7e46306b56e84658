"""A Converse body on its way to Bedrock: every field stays, but what this gateway or another provider put in."""

from polyroute.dialects.anthropic_messages.thinking import fit_budget
from polyroute.dialects.bedrock_converse.makers import maker_of
from polyroute.dialects.bedrock_converse.read_content import Block
from polyroute.types.cards import Deployment
from polyroute.types.request import Wire


def own_body(wire: Wire, target: Deployment, max_output_tokens: int | None, dropped: list[str]) -> Block:
    """The caller's own body for `target`: without what only this gateway, or another provider, put in."""
    body = {name: value for name, value in wire.body.items() if name not in ("model", "stream")}
    metadata = body.get("requestMetadata")
    if isinstance(metadata, dict) and not metadata.keys().isdisjoint(("class", "task")):  # the gateway's own words
        kept = {name: value for name, value in metadata.items() if name not in ("class", "task")}
        body["requestMetadata"] = kept
        if not kept:  # an empty one is refused
            del body["requestMetadata"]
    if maker_of(target.upstream_model).reasoning == "thinking":
        _leave_unsigned(body, dropped)
    if max_output_tokens is not None:
        given = body.get("inferenceConfig")
        inference = given if isinstance(given, dict) else {}
        asked = inference.get("maxTokens")
        if not isinstance(asked, int) or max_output_tokens < asked:
            body["inferenceConfig"] = {**inference, "maxTokens": max_output_tokens}
            _fit_thinking(body, max_output_tokens, dropped)
    return body


def _leave_unsigned(body: Block, dropped: list[str]) -> None:
    """Claude takes back only reasoning that it signed; any other came from another provider's answer."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not any(map(_has_unsigned, messages)):
        return
    kept = []
    for message in messages:
        if _has_unsigned(message):
            message = {**message, "content": [block for block in message["content"] if not _is_unsigned(block)]}
            if not message["content"]:
                continue
        kept.append(message)
    body["messages"] = kept
    dropped.append("thinking of another provider")


def _has_unsigned(message: object) -> bool:
    content = message.get("content") if isinstance(message, dict) and message.get("role") == "assistant" else None
    return isinstance(content, list) and any(map(_is_unsigned, content))


def _is_unsigned(block: object) -> bool:
    reasoning = block.get("reasoningContent") if isinstance(block, dict) else None
    shown = reasoning.get("reasoningText") if isinstance(reasoning, dict) else None
    return isinstance(shown, dict) and not shown.get("signature")


def _fit_thinking(body: Block, limit: int, dropped: list[str]) -> None:
    """A shortened answer leaves less to think with."""
    more = body.get("additionalModelRequestFields")
    if not isinstance(more, dict):
        return
    for name in ("thinking", "reasoning_config"):
        thinking = more.get(name)
        budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
        if not isinstance(thinking, dict) or not isinstance(budget, int):
            continue
        fitting = fit_budget(budget, limit)
        more = {key: value for key, value in more.items() if key != name}
        if fitting is None:
            dropped.append("reasoning")
        else:
            more[name] = {**thinking, "budget_tokens": fitting}
        body["additionalModelRequestFields"] = more
