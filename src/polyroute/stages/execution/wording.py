"""What a route adds to a request, for whichever deployment answers: its prompt's words, and the form of the answer.

Applied anew for each attempt, so that a fallback gets the variant of its own family. A body of the target's own
dialect keeps every other field; where its dialect takes no preface the request is written anew from the canonical
form. Plain logic is no model, and gets the caller's own words.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from polyroute.catalog import tokens
from polyroute.catalog.tokens import NOTHING, Size
from polyroute.errors import InvalidRequest, NoCandidate
from polyroute.ports import Dialect, Preface, TakesPreface
from polyroute.prompts.compiled import Ready
from polyroute.prompts.families import variant_for
from polyroute.prompts.preface import joined, with_preface
from polyroute.prompts.registry import Registry
from polyroute.prompts.variables import OWN_FIELD, take_variables, texts_of
from polyroute.types.cards import Deployment
from polyroute.types.quirks import EMULATES_SCHEMA, SCHEMA_BY_TOOL
from polyroute.types.request import OutputFormat, Request

NO_PROMPT = "no_prompt"  # the quirk of what is no model
_IN_WORDS = (
    "Answer with one JSON value that fits the following JSON Schema, and with nothing else: no Markdown fence, no "
    "words before or after it.\n\n"
)


class Form(Struct, frozen=True, kw_only=True):
    """The form a route's answers must have, as models are told it."""

    schema: dict[str, Any]
    name: str = "output"

    @property
    def words(self) -> str:
        return _IN_WORDS + json.dumps(self.schema, ensure_ascii=False, separators=(",", ":"))

    def told_to(self, deployment: Deployment) -> tuple[OutputFormat | None, str | None]:
        """As a schema where the model is known for it, or a tool stands in; else in words, beside its JSON mode."""
        capabilities = deployment.card.capabilities or ()
        is_native = "json_schema" in capabilities and EMULATES_SCHEMA.isdisjoint(deployment.quirks)
        if is_native or SCHEMA_BY_TOOL in deployment.quirks:
            return OutputFormat(schema=self.schema, name=self.name, strict=_is_closed(self.schema) or None), None
        has_mode = "json" in capabilities and self.schema.get("type") == "object"
        return OutputFormat() if has_mode else None, self.words


class Wording(Struct, frozen=True, kw_only=True):
    """What is added to one request. `added` is the most that any of its models will read of it."""

    dialects: Mapping[str, Dialect]
    prompt: Ready | None = None
    texts: Mapping[str, str] = {}  # of the prompt's variables
    form: Form | None = None
    added: Size = NOTHING

    @property
    def prompt_id(self) -> str | None:
        return self.prompt.id if self.prompt is not None else None

    def variant_for(self, deployment: Deployment) -> str | None:
        if self.prompt is None or NO_PROMPT in deployment.quirks:
            return None
        return variant_for(self.prompt.variants, deployment)

    def put_to(self, request: Request, deployment: Deployment) -> Request:
        if NO_PROMPT in deployment.quirks:
            return request
        preface = self.preface_for(deployment)
        worded, wire = with_preface(request, preface), request.wire
        if wire is None:
            return worded
        dialect: object = self.dialects.get(wire.dialect)
        return replace(worded, wire=dialect.with_preface(wire, preface) if isinstance(dialect, TakesPreface) else None)

    def preface_for(self, deployment: Deployment) -> Preface:
        system = user = output = words = None
        if self.prompt is not None:
            variant = variant_for(self.prompt.variants, deployment)
            rendered = self.prompt.variants[variant].render(self.texts)
            system, user = rendered.system, rendered.user
        if self.form is not None:
            output, words = self.form.told_to(deployment)
        return Preface(system=joined(system, words), user=user, sets_output=self.form is not None, output=output)


def word(
    request: Request,
    *,
    route: str,
    prompt: str | None,
    form: Form | None,
    deployments: Iterable[Deployment],
    registry: Registry,
    dialects: Mapping[str, Dialect],
) -> tuple[Request, Wording | None]:
    """The request without what it says to the gateway, and what the route adds to it; None where that is nothing.

    Raises InvalidRequest for what the caller brings, NoCandidate where the prompt is gone.
    """
    if prompt is None and form is None and OWN_FIELD not in request.extensions:
        return request, None
    brought = take_variables(request, has_prompt=prompt is not None)
    if prompt is None and form is None:
        return brought.request, None
    if request.operation != "chat":
        raise InvalidRequest(
            f"route `{route}` has a prompt or an output contract, which only conversations take", field="model"
        )
    if form is not None:
        _refuse_other_form(request, form, route)
    ready, texts = None, dict[str, str]()
    if prompt is not None:
        try:
            ready = registry.find(prompt)
        except LookupError as exc:
            raise NoCandidate(f"route `{route}` cannot be served: {exc.args[0]}", ()) from None
        texts = texts_of(ready.variables, brought)
    wording = Wording(dialects=dialects, prompt=ready, texts=texts, form=form)
    plain = brought.request if form is None else replace(brought.request, output=None)
    return plain, replace(wording, added=_most(wording, deployments))


def _refuse_other_form(request: Request, form: Form, route: str) -> None:
    """A caller may ask for any JSON, or for the very schema; the contract then says the rest."""
    asked = request.output
    if asked is not None and asked.schema is not None and asked.schema != form.schema:
        raise InvalidRequest(
            f"route `{route}` answers in a form of its own, and the request asks for another schema: leave the "
            "schema out, or name a route without `output`",
            field="response_format",
            code="output_conflict",
        )


def _most(wording: Wording, deployments: Iterable[Deployment]) -> Size:
    prefaces = {(p.system, p.user, p.output is None): p for p in map(wording.preface_for, deployments)}
    sizes = [tokens.measure(with_preface(Request(model="", messages=()), p)) for p in prefaces.values()]
    return Size(
        tokens=max((size.tokens for size in sizes), default=0),
        most_tokens=max((size.most_tokens for size in sizes), default=0),
    )


def _is_closed(node: object) -> bool:
    """Whether providers' strict modes take it: every object names all it holds, and all of it is required."""
    if isinstance(node, list):
        return all(map(_is_closed, node))
    if not isinstance(node, dict):
        return True
    properties = node.get("properties")
    if isinstance(properties, dict):
        required = node.get("required")
        if node.get("additionalProperties") is not False or set(required or ()) != set(properties):
            return False
        return all(map(_is_closed, properties.values()))
    return node.get("type") != "object" and all(map(_is_closed, node.values()))
