"""A conversation as Gemini wants it: instructions apart, user and model in turn, all results of a turn together.

Instructions after the first turn move to the front; the move is named in `dropped`, for it changes their position.
Source: ai.google.dev, "Function calling" (order of calls and responses), "Thought signatures".
"""

from msgspec import Struct

from polyroute.dialects.arguments import is_json_object
from polyroute.dialects.gemini.names import NAME, Block
from polyroute.dialects.gemini.write_content import UNSIGNED, write_part, write_result
from polyroute.types.content import Document, Message, Part, Text, Thinking, ToolCall, ToolResult
from polyroute.types.request import Request


class Conversation(Struct, frozen=True, kw_only=True):
    system: list[Block]
    contents: list[Block]


class _Turn(Struct, kw_only=True):
    role: str
    parts: list[Block]


def write_turns(request: Request, dropped: list[str], *, wants_signatures: bool) -> Conversation:
    """`wants_signatures`: the model refuses a call without one, also where another model made it."""
    is_foreign = request.wire is not None and request.wire.dialect != NAME
    names = {part.id: part.name for message in request.messages for part in message.parts if isinstance(part, ToolCall)}
    system: list[Block] = []
    turns: list[_Turn] = []
    for message in request.messages:
        blocks = _blocks(message, names, dropped, is_foreign=is_foreign)
        if not blocks:
            continue
        if message.role in ("system", "developer"):
            if turns:
                dropped.append("position of later system messages")
            system += blocks
            continue
        role = "model" if message.role == "assistant" else "user"
        if turns and turns[-1].role == role:
            turns[-1].parts += blocks
        else:
            turns.append(_Turn(role=role, parts=blocks))
    if not turns and system:  # instructions alone are the question
        dropped.append("role of the only system message")
        turns, system = [_Turn(role="user", parts=system[-1:])], system[:-1]
    for turn in turns:
        if turn.role == "user":
            turn.parts.sort(key=_after_results)
        elif wants_signatures:
            _sign(turn.parts)
    return Conversation(system=system, contents=[{"role": turn.role, "parts": turn.parts} for turn in turns])


def _blocks(message: Message, names: dict[str, str], dropped: list[str], *, is_foreign: bool) -> list[Block]:
    if message.name is not None and message.role != "tool":
        dropped.append("name")
    blocks: list[Block] = []
    for part in message.parts:
        if isinstance(part, ToolResult):
            blocks += _result_blocks(part, names.get(part.call_id) or message.name or part.call_id, dropped)
            continue
        if isinstance(part, Thinking) and (is_foreign or part.thought_signature is None):
            dropped.append("thinking")  # another provider's, or without the mark that makes it Gemini's
            continue
        if isinstance(part, Text) and part.citations:
            dropped.append("citations")
        blocks += _titled(part)
        if isinstance(part, ToolCall) and part.arguments and not is_json_object(part.arguments):
            dropped.append("tool call arguments that are no JSON object, kept as text")
        if (block := write_part(part, dropped)) is not None:
            blocks.append(block)
    return blocks


def _result_blocks(result: ToolResult, name: str, dropped: list[str]) -> list[Block]:
    """A result, then what it shows: every model reads pictures beside a result, the newest only inside one."""
    if result.cache is not None:
        dropped.append("cache")
    blocks = [write_result(result, name)]
    shown = [block for part in result.parts if not isinstance(part, Text) if (block := write_part(part, dropped))]
    if shown:
        blocks += [{"text": f"Shown by tool call {result.call_id}:"}, *shown]
    return blocks


def _titled(part: Part) -> list[Block]:
    """What a document is called, and is about, in words of its own."""
    if not isinstance(part, Document):
        return []
    return [{"text": words} for words in (part.title, part.context) if words]


def _after_results(block: Block) -> bool:
    return "functionResponse" not in block


def _sign(parts: list[Block]) -> None:
    """The first of a turn's parallel calls carries the signature."""
    for block in parts:
        if "functionCall" in block:
            block.setdefault("thoughtSignature", UNSIGNED)
            return
