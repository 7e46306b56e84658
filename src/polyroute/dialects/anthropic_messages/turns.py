"""A conversation as Anthropic wants it: instructions apart, user and assistant in turn, tool results first.

Instructions after the first turn move to the front, where every model reads them, unless the model takes them in
place; the move is named in `dropped`, for it changes their position.
Source: platform.claude.com, "Create a Message" (`messages`, `system`), "Handle tool calls" (order of results).
"""

from msgspec import Struct

from polyroute.dialects.anthropic_messages.read_content import NAME, Block
from polyroute.dialects.anthropic_messages.thinking import is_signed
from polyroute.dialects.anthropic_messages.write_content import write_part
from polyroute.dialects.arguments import is_json_object
from polyroute.types.content import Message, Text, Thinking, ToolCall
from polyroute.types.request import Request


class Conversation(Struct, frozen=True, kw_only=True):
    system: list[Block]
    turns: list[Block]


class _Turn(Struct, kw_only=True):
    role: str
    content: list[Block]


def write_turns(request: Request, dropped: list[str], *, has_mid_system: bool) -> Conversation:
    is_foreign = request.wire is not None and request.wire.dialect != NAME
    system: list[Block] = []
    turns: list[_Turn] = []
    for message in request.messages:
        blocks = _blocks(message, dropped, is_foreign=is_foreign)
        if not blocks:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if message.role in ("system", "developer"):
            if not turns:
                system += blocks
                continue
            if not has_mid_system:
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
        turns, system = [_Turn(role="user", content=system[-1:])], system[:-1]
    for turn in turns:
        if turn.role == "user":
            turn.content.sort(key=_after_results)
    if turns and turns[-1].role == "assistant":
        _trim_prefill(turns[-1].content)
    return Conversation(system=system, turns=[{"role": turn.role, "content": turn.content} for turn in turns])


def _blocks(message: Message, dropped: list[str], *, is_foreign: bool) -> list[Block]:
    if message.name is not None and message.role != "tool":  # a result's call has its name
        dropped.append("name")
    blocks: list[Block] = []
    for part in message.parts:
        if isinstance(part, Thinking) and (is_foreign or not is_signed(part)):
            dropped.append("thinking")
            continue
        if isinstance(part, Text) and part.citations and is_foreign:
            dropped.append("citations")
            part = Text(text=part.text, cache=part.cache)
        if isinstance(part, Text) and part.text.isspace():  # refused by Anthropic, like empty text
            continue
        if isinstance(part, ToolCall) and part.arguments and not is_json_object(part.arguments):
            dropped.append("tool call arguments that are no JSON object, kept as text")
        block = write_part(part)
        if block is not None:
            blocks.append(block)
    return blocks


def _after_results(block: Block) -> bool:
    return block["type"] != "tool_result"


def _trim_prefill(content: list[Block]) -> None:
    """The words an answer is to go on from must not end in white space."""
    last = content[-1]
    if isinstance(words := last.get("text"), str):
        content[-1] = {**last, "text": words.rstrip()}
