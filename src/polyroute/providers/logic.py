"""Answers from plain logic, at no model's cost: a text, a table, a service of one's own.

Which rule applies was decided by the `logic` strategy: each rule is a deployment of its own. Where nothing can be said
after all (no such key, the service is down), the attempt fails with SWITCH and the route's models take over.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from secrets import token_hex
from urllib.parse import quote

from msgspec import Struct

from polyroute.catalog import tokens
from polyroute.conditions import Condition, groups
from polyroute.errors import MalformedReply
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.content import Text
from polyroute.types.request import Request
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Ended,
    Reply,
    Response,
    Started,
    StopReason,
    TextDelta,
    Usage,
)

Fetch = Callable[[str, Mapping[str, str], float], Awaitable[str]]  # (url, headers, timeout_s); raises ProviderError


class Lookup(Struct, frozen=True, kw_only=True):
    key: str  # may hold {names}
    table: Mapping[str, str]
    missing: str | None = None


class Service(Struct, frozen=True, kw_only=True):
    url: str  # may hold {names}; what fills them is escaped, and cannot leave its place in the path or query
    headers: Mapping[str, str]
    timeout_s: float = 2.0


class Rule(Struct, frozen=True, kw_only=True):
    when: Condition
    answer: str | Lookup | Service


class LogicProvider:
    def __init__(self, rules: Mapping[str, Rule], fetch: Fetch) -> None:
        """`rules` by deployment id."""
        self._rules = rules
        self._fetch = fetch

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        if request.operation != "chat":
            return (f"logic does no {request.operation}",)
        return ("n > 1: logic has one answer",) if request.n > 1 else ()

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        text = await self._answer(self._rules[target.id], request.last_user_text, deadlines.total_s)
        # What a model would have read and written, so that the saving is the whole of it.
        usage = Usage(input_tokens=tokens.estimate(request), output_tokens=tokens.estimate_text(text), estimated=True)
        choice = Choice(parts=(Text(text=text),), stop=StopReason.END)
        response = Response(id=f"logic-{token_hex(12)}", model=target.upstream_model, choices=(choice,), usage=usage)
        return Reply(usage=usage, model=target.upstream_model, stop=StopReason.END, response=response)

    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        reply = await self.complete(request, target, deadlines, max_output_tokens)
        assert reply.response is not None  # logic has no wire format
        yield Started(id=reply.response.id, model=reply.model)
        yield TextDelta(text=reply.response.text)
        yield ChoiceEnded(stop=StopReason.END)
        yield Ended(usage=reply.usage, model=reply.model)

    async def aclose(self) -> None:
        """Holds nothing open."""

    async def _answer(self, rule: Rule, asked: str, left_s: float) -> str:
        names = groups(rule.when.matches, asked) or {} if rule.when.matches else {}
        match rule.answer:
            case str():
                return _fill(rule.answer, names)
            case Lookup():
                key = _fill(rule.answer.key, names)
                found = rule.answer.table.get(key, rule.answer.missing)
                if found is None:
                    raise MalformedReply(f"the table has no entry `{key[:60]}`")
                return _fill(found, names)
            case Service():
                return await self._fetch(
                    _address(rule.answer.url, names), rule.answer.headers, min(rule.answer.timeout_s, left_s)
                )


def _address(template: str, names: Mapping[str, str]) -> str:
    """Raises MalformedReply where a value would lead out of its place: no escaping takes the meaning from `..`."""
    url = _fill(template, {name: quote(value, safe="", errors="replace") for name, value in names.items()})
    if not {".", ".."}.isdisjoint(url.partition("?")[0].split("/")):
        raise MalformedReply("what was found in the request does not fit into the service's address")
    return url


def _fill(template: str, names: Mapping[str, str]) -> str:
    """`{name}` replaced; nothing else is special, and what is filled in is not looked at again."""
    out, rest = [], template
    while True:
        before, brace, rest = rest.partition("{")
        out.append(before)
        if not brace:
            return "".join(out)
        name, closing, after = rest.partition("}")
        if closing and name in names:
            out.append(names[name])
            rest = after
        else:
            out.append("{")
