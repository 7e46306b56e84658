"""A conversation as Bedrock wants it: instructions apart, user and assistant in turn, tool results first.

Instructions after the first turn move to the front, unless the model takes them in place; the move is named in
`dropped`. Documents are told apart by their names, which Bedrock asks to be different.
Source: Amazon Bedrock API reference, "Message" and "Converse"; user guide, "Call a tool with the Converse API".
"""

from msgspec import Struct

from polyroute.dialects.arguments import is_json_object
from polyroute.dialects.bedrock_converse.read_content import NAME, Block
from polyroute.dialects.bedrock_converse.read_request import GUARDRAIL
from polyroute.dialects.bedrock_converse.write_content import is_blank, write_cache_point, write_part
from polyroute.types.content import Audio, Message, Opaque, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.request import Request


class Conversation(Struct, frozen=True, kw_only=True):
    system: list[Block]
    turns: list[Block]
    guardrail: Block | None
    calls_tools: bool  # there is tool traffic in it, which Bedrock takes only where tools are declared


class _Turn(Struct, kw_only=True):
    role: str
    content: list[Block]


def write_turns(request: Request, dropped: list[str], *, has_mid_system: bool, caches: bool) -> Conversation:
    is_foreign = request.wire is not None and request.wire.dialect != NAME
    system: list[Block] = []
    turns: list[_Turn] = []
    guardrail: Block | None = None
    for message in request.messages:
        if message.parts and isinstance(part := message.parts[0], Opaque) and part.kind == GUARDRAIL:
            guardrail = part.raw
            continue
        blocks = _blocks(message, dropped, is_foreign=is_foreign, caches=caches)
        if not blocks:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if message.role in ("system", "developer"):
            if not turns or not has_mid_system:
                if turns:
                    dropped.append("position of later system messages")
                system += blocks
                continue
            role = "system"
        if turns and turns[-1].role == role:
            turns[-1].content += blocks
        else:
            turns.append(_Turn(role=role, content=blocks))
    if not turns and system:  # instructions alone are the question
        dropped.append("role of the only system message")
        turns, system = [_Turn(role="user", content=system)], []
    for turn in turns:
        if turn.role == "user" and any("toolResult" in block for block in turn.content):
            turn.content = _results_first(turn.content)
    if turns and turns[-1].role == "assistant":
        _trim_prefill(turns[-1].content)
    _tell_documents_apart(turns)
    return Conversation(
        system=system,
        turns=[{"role": turn.role, "content": turn.content} for turn in turns],
        guardrail=guardrail,
        calls_tools=any("toolUse" in block or "toolResult" in block for turn in turns for block in turn.content),
    )


def _blocks(message: Message, dropped: list[str], *, is_foreign: bool, caches: bool) -> list[Block]:
    if message.name is not None and message.role != "tool":  # a result's call has its name
        dropped.append("name")
    blocks: list[Block] = []
    for part in message.parts:
        if is_blank(part):
            continue
        block = write_part(_sayable(part, dropped, is_foreign=is_foreign))
        if block is None or (isinstance(part, Thinking) and is_foreign):
            continue
        blocks.append(block)
        if not isinstance(part, Audio | Thinking | Refusal | Opaque) and part.cache is not None:
            if caches:
                blocks.append(write_cache_point(part.cache))
            else:
                dropped.append("cache")
    return blocks


def _sayable(part: Part, dropped: list[str], *, is_foreign: bool) -> Part:
    """`part` without what only its own provider understands; what is left out is named."""
    if isinstance(part, Thinking) and is_foreign:
        dropped.append("thinking")
    elif isinstance(part, Text) and part.citations:
        dropped.append("citations")  # an input's text may not carry them
        return Text(text=part.text, cache=part.cache)
    elif isinstance(part, ToolCall) and part.arguments and not is_json_object(part.arguments):
        dropped.append("tool call arguments that are no JSON object, kept as text")
    return part


def _results_first(content: list[Block]) -> list[Block]:
    """Tool results, each with the cache point after it, before all else."""
    results: list[Block] = []
    others: list[Block] = []
    kin = others  # where the block before went, and a cache point follows
    for block in content:
        if "cachePoint" not in block:
            kin = results if "toolResult" in block else others
        kin.append(block)
    return results + others


def _trim_prefill(content: list[Block]) -> None:
    """The words an answer is to go on from must not end in white space."""
    last = content[-1]
    if isinstance(words := last.get("text"), str):
        content[-1] = {"text": words.rstrip()}


def _tell_documents_apart(turns: list[_Turn]) -> None:
    names: set[object] = set()
    for turn in turns:
        for block in turn.content:
            document = block.get("document")
            if not isinstance(document, dict):
                continue
            number, name = 2, document["name"]
            while document["name"] in names:
                document["name"] = f"{name} {number}"
                number += 1
            names.add(document["name"])
