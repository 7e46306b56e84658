"""Answers from plain logic, at no model's cost: a text, a table, a service of one's own.

Which rule applies was decided by the `logic` strategy; the same pure conditions are asked again here, so that an
attempt is complete in itself. Where nothing can be said after all (no such key, the service is down), the attempt fails
with SWITCH and the route's models take over.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from urllib.parse import quote

from msgspec import Struct

from polyroute.catalog import tokens
from polyroute.conditions import Condition, groups, holds, see
from polyroute.errors import MalformedReply
from polyroute.ports import Classifier
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
    def __init__(self, rules: tuple[Rule, ...], classifier: Classifier, fetch: Fetch) -> None:
        self._rules = rules
        self._classifier = classifier
        self._fetch = fetch

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        return ("n > 1: logic has one answer",) if request.n > 1 else ()

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        text = await self._answer(request)
        usage = Usage(input_tokens=0, output_tokens=tokens.estimate_text(text), estimated=True)
        choice = Choice(parts=(Text(text=text),), stop=StopReason.END)
        response = Response(id=f"logic-{target.model}", model=target.upstream_model, choices=(choice,), usage=usage)
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

    async def _answer(self, request: Request) -> str:
        sight = see(request, self._classifier.classify(request))
        rule = next((rule for rule in self._rules if holds(rule.when, sight)), None)
        if rule is None:
            raise MalformedReply("no logic answer applies")
        names = groups(rule.when.matches, sight.text) or {} if rule.when.matches else {}
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
                url = _fill(rule.answer.url, {name: quote(value, safe="") for name, value in names.items()})
                return await self._fetch(url, rule.answer.headers, rule.answer.timeout_s)


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
