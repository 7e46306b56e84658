"""The prompt that a command is given: as words, or on its standard input."""

import sys
from typing import Annotated

import orjson
import typer
from msgspec.structs import replace

from polyroute.prompts.variables import OWN_FIELD
from polyroute.types.content import text_of
from polyroute.types.request import Request, ask

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="The prompt, or the model and then the prompt; without one, or with `-`, it is read from standard input.",
        metavar="[MODEL] PROMPT",
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", help="A route or a model; else `auto`.", metavar="NAME")
]
SystemOption = Annotated[str | None, typer.Option("--system", help="A system prompt.", metavar="TEXT")]
TaskOption = Annotated[str | None, typer.Option("--task", help="What the request is, if that is known.")]
VarOption = Annotated[
    list[str] | None,
    typer.Option("--var", help="A variable of the route's prompt: NAME=TEXT, or NAME:=JSON.", metavar="NAME=TEXT"),
]
_DEFAULT = "auto"


def prompted(
    words: list[str] | None,
    model: str | None,
    *,
    system: str | None = None,
    max_output_tokens: int | None = None,
    var: list[str] | None = None,
) -> Request:
    """Raises BadParameter where the words make no sense, or there is no prompt."""
    words = words or []
    if len(words) > 2 or (len(words) == 2 and model is not None):
        raise typer.BadParameter("put the prompt into quotes: it is one word for the shell, after the model if any")
    if len(words) == 2:
        model = words[0]
    prompt = words[-1] if words else "-"
    if prompt == "-":
        prompt = sys.stdin.read().strip()
    if not prompt:
        raise typer.BadParameter("there is no prompt: give one, or pipe one in")
    request = ask(model or _DEFAULT, prompt, system=system, max_output_tokens=max_output_tokens)
    variables = dict(map(_variable, var or []))
    return replace(request, extensions={OWN_FIELD: {"variables": variables}}) if variables else request


def as_chat(request: Request) -> dict[str, object]:
    """The request as the body of a chat completion."""
    messages = [{"role": m.role, "content": text_of(m.parts)} for m in request.messages]
    body: dict[str, object] = {"model": request.model, "messages": messages, **request.extensions}
    if request.max_output_tokens is not None:
        body["max_tokens"] = request.max_output_tokens
    return body


def _variable(written: str) -> tuple[str, object]:
    name, equals, value = written.partition("=")
    if not equals or not name.rstrip(":"):
        raise typer.BadParameter(f"`{written}` is not of the form NAME=TEXT or NAME:=JSON", param_hint="--var")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], orjson.loads(value)
    except orjson.JSONDecodeError:
        raise typer.BadParameter(f"`{value}` is no JSON", param_hint="--var") from None
