"""Gates as the document or a call describes them, made into gates that judge; and what is wrong with a description."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec

import msgspec
from msgspec import Struct

from polyroute.config import document as settings
from polyroute.config.convert import value_reader
from polyroute.config.document import Document
from polyroute.config.secret import Secret
from polyroute.config.suggest import Vocabulary
from polyroute.embedders.weights import EXTRA, lacking
from polyroute.errors import InvalidRequest, Problem
from polyroute.ports import Embedder
from polyroute.stages.validation.agreement import Agreement
from polyroute.stages.validation.code import Code
from polyroute.stages.validation.combined import All, Any, Weighted
from polyroute.stages.validation.entropy import Entropy
from polyroute.stages.validation.gates import Json, Length, MatchesSchema, Regex
from polyroute.stages.validation.inquiry import AnyGate, AsksModels
from polyroute.stages.validation.judge import Check
from polyroute.stages.validation.language import Language
from polyroute.stages.validation.parsing import Parsers
from polyroute.stages.validation.rubric import DEFAULT_RUBRIC, Judge
from polyroute.stages.validation.sandbox import Sandbox
from polyroute.stages.validation.sql import Sql, dialects, schema_problem
from polyroute.wiring.prompts import contract_of

NameModel = Callable[[str], str]  # a target, as it is written, to the model it stands for
_KINDS = tuple(kind.__struct_config__.tag for kind in settings.Gate.__args__)
_MAX_NESTING = 8


class GateSmith(Struct, frozen=True, kw_only=True):
    parsers: Parsers
    name_model: NameModel
    embedder: Embedder | None = None

    def checks(self, gates: tuple[settings.Gate, ...]) -> tuple[Check, ...]:
        return tuple(
            Check(
                gate=self.gate(gate),
                on_reject=gate.on_reject,
                parallel=isinstance(gate, settings.AgreementGate) and gate.parallel,
            )
            for gate in gates
        )

    def gate(self, gate: settings.Gate) -> AnyGate:
        match gate:
            case settings.JsonGate():
                return Json(allow_fences=gate.allow_fences)
            case settings.JsonSchemaGate():
                return MatchesSchema(
                    schema=gate.schema,
                    allow_fences=gate.allow_fences,
                    formats=gate.formats,
                    resources=dict(gate.resources),
                )
            case settings.LengthGate():
                return Length(min_chars=gate.min_chars, max_chars=gate.max_chars)
            case settings.RegexGate():
                return Regex(matches=gate.matches, excludes=gate.excludes)
            case settings.LanguageGate():
                return Language(languages=gate.languages)
            case settings.CodeGate():
                sandbox = Sandbox() if gate.run_examples else None
                return Code(parsers=self.parsers, language=gate.language, run_examples=sandbox)
            case settings.SqlGate():
                return Sql(
                    parsers=self.parsers,
                    dialect=gate.dialect,
                    schema=gate.schema or "",
                    tables=gate.tables,
                    writes=gate.writes,
                )
            case settings.AgreementGate():
                return Agreement(
                    samples=gate.samples,
                    models=tuple(map(self.name_model, gate.models)),
                    by=gate.by,
                    min_cosine=gate.min_cosine,
                    embedder=self.embedder if gate.by == "embedding" else None,
                    field=gate.field,
                    at_least=gate.at_least,
                    temperature=gate.temperature,
                )
            case settings.EntropyGate():
                return Entropy(
                    max_bits=gate.max_bits,
                    max_token_bits=gate.max_token_bits,
                    min_mean_logprob=gate.min_mean_logprob,
                    min_logprob=gate.min_logprob,
                    fallback=gate.fallback if isinstance(gate.fallback, str) else self.gate(gate.fallback),
                )
            case settings.JudgeGate():
                return Judge(
                    model=self.name_model(gate.model),
                    rubric=gate.rubric or DEFAULT_RUBRIC,
                    min_score=gate.min_score,
                    max_output_tokens=gate.max_output_tokens,
                )
            case settings.AllGate():
                return All(gates=tuple(map(self.gate, gate.gates)))
            case settings.AnyGate():
                return Any(gates=tuple(map(self.gate, gate.gates)))
            case settings.WeightedGate():
                return Weighted(gates=tuple(map(self.gate, gate.gates)), weights=gate.weights, min_score=gate.min_score)


def helpers_of(checks: tuple[Check, ...], model: str) -> tuple[str, ...]:
    """The models that may be asked about an answer of `model`, fallbacks' included."""
    return tuple(name for check in checks for name in _asked(check.gate, model))


def _asked(gate: AnyGate, model: str) -> tuple[str, ...]:
    own = gate.helpers(model) if isinstance(gate, AsksModels) else ()
    fallback = getattr(gate, "fallback", None)
    return own if fallback is None or isinstance(fallback, str) else (*own, *_asked(fallback, model))


# ── of a call ─────────────────────────────────────────────────────────────────────────────────────────


def gate_of_call(options: Mapping[str, object], at: str) -> settings.Gate:
    """A gate that a call brings along. Raises InvalidRequest."""
    if options.get("use") not in _KINDS:
        known = ", ".join(f"`{name}`" for name in _KINDS)
        raise InvalidRequest(f"`{at}.use` must be one of {known}", field=f"{at}.use", code="invalid_value")
    try:
        gate: settings.Gate = msgspec.convert(dict(options), settings.Gate, dec_hook=_READ)
    except (msgspec.ValidationError, RecursionError) as exc:
        raise InvalidRequest(f"`{at}`: {exc}", field=at) from None
    for problem in problems_of(gate, at, is_call=True):
        raise InvalidRequest(f"`{problem.path}`: {problem.message}", field=problem.path)
    return gate


def _no_secret(written: object) -> Secret:
    raise ValueError("no gate holds a secret")


_READ = value_reader(_no_secret)

# ── what is wrong ─────────────────────────────────────────────────────────────────────────────────────


def gate_problems(document: Document) -> tuple[Problem, ...]:
    """What is wrong with the gates and contracts of routes, beyond their form."""
    return tuple(_problems(document))


def _problems(document: Document) -> Iterator[Problem]:
    for name, route in document.routes.items():
        path = f"routes.{name}"
        for at, gate in enumerate(route.gates):
            yield from problems_of(gate, f"{path}.gates[{at}]")
        if isinstance(route.strategy, settings.Cascade):
            yield from _cascade_problems(f"{path}.strategy", route.strategy)
        contract = contract_of(route)
        if contract is not None and (problem := contract.problem()):
            yield Problem(path=f"{path}.output.schema", message=f"not a JSON Schema: {problem}")
        if route.commit == "first_token" and contract is not None:
            fix = "remove one of the two"
            yield Problem(
                path=f"{path}.commit", message="an answer is brought into `output` whole, or not at all", fix=fix
            )


def _cascade_problems(path: str, cascade: settings.Cascade) -> Iterator[Problem]:
    levels = Vocabulary(cascade.models)
    for section, named in (("gates", cascade.gates), ("pass_rate", cascade.pass_rate)):
        for model in named:
            if model not in cascade.models:
                message = f"`{model}` is none of the cascade's models"
                yield Problem(path=f"{path}.{section}.{model}", message=message, fix=levels.fix(model))
    for model, gates in cascade.gates.items():
        for at, gate in enumerate(gates):
            yield from problems_of(gate, f"{path}.gates.{model}[{at}]")
    band = cascade.escalation_band
    if band is not None and band.min > band.max:
        yield Problem(path=f"{path}.escalation_band.max", message=f"{band.max:g} is less than min {band.min:g}")


def problems_of(gate: settings.Gate, path: str, *, depth: int = 0, is_call: bool = False) -> Iterator[Problem]:
    if depth > _MAX_NESTING:
        yield Problem(path=path, message=f"gates are nested more than {_MAX_NESTING} deep")
        return
    if depth and gate.on_reject != "escalate":
        yield Problem(
            path=f"{path}.on_reject", message="has no effect inside another gate", fix="say it at the outer one"
        )
    match gate:
        case settings.JsonSchemaGate():
            built = MatchesSchema(schema=gate.schema, formats=gate.formats, resources=dict(gate.resources))
            if problem := built.problem():
                yield Problem(path=f"{path}.schema", message=f"not a JSON Schema: {problem}")
        case settings.CodeGate():
            yield from _code_problems(gate, path, is_call)
        case settings.SqlGate():
            yield from _sql_problems(gate, path)
        case settings.AllGate() | settings.AnyGate() | settings.WeightedGate():
            for at, inner in enumerate(gate.gates):
                yield from problems_of(inner, f"{path}.gates[{at}]", depth=depth + 1, is_call=is_call)
            if isinstance(gate, settings.WeightedGate):
                yield from _own(Weighted(gates=(Length(),) * len(gate.gates), weights=gate.weights), path)
        case settings.EntropyGate():
            if not isinstance(gate.fallback, str):
                yield from problems_of(gate.fallback, f"{path}.fallback", depth=depth + 1, is_call=is_call)
            yield from _own(_PLAIN.gate(msgspec.structs.replace(gate, fallback="reject")), path)
        case settings.LengthGate():
            if gate.max_chars is not None and gate.max_chars < gate.min_chars:
                message = f"{gate.max_chars} is less than min_chars {gate.min_chars}"
                yield Problem(path=f"{path}.max_chars", message=message)
        case settings.AgreementGate(parallel=True) if depth:
            yield Problem(path=f"{path}.parallel", message="has no effect inside another gate", fix="remove it")
        case settings.AgreementGate(by="embedding") if missing := lacking():
            message = f"embeddings on this machine need {', '.join(missing)}, not installed"
            yield Problem(path=f"{path}.by", message=message, fix=EXTRA)
        case _:
            yield from _own(_PLAIN.gate(gate), path)


def _own(gate: object, path: str) -> Iterator[Problem]:
    told: Callable[[], str | None] | None = getattr(gate, "problem", None)
    if told is not None and (problem := told()):
        yield Problem(path=path, message=problem)


def _code_problems(gate: settings.CodeGate, path: str, is_call: bool) -> Iterator[Problem]:
    extra = "pip install polyroute[gates]" if gate.language == "javascript" else "install its tree-sitter wheel"
    if not gate.language.isidentifier() or not gate.language.islower():
        yield Problem(path=f"{path}.language", message=f"{gate.language[:40]!r} is no language's name")
    elif gate.language != "python" and not (find_spec("tree_sitter") and find_spec(f"tree_sitter_{gate.language}")):
        yield Problem(path=f"{path}.language", message=f"there is no grammar of `{gate.language}` here", fix=extra)
    if not gate.run_examples:
        return
    if is_call:
        yield Problem(path=f"{path}.run_examples", message="only the document may have programs run")
    elif gate.language != "python":
        yield Problem(path=f"{path}.run_examples", message="examples are run of Python only")
    elif problem := _sandbox_problem():
        yield Problem(path=f"{path}.run_examples", message=problem, fix="remove it, or run where that can be had")


def _sql_problems(gate: settings.SqlGate, path: str) -> Iterator[Problem]:
    if gate.dialect != "sqlite":
        if find_spec("sqlglot") is None:
            fix = "pip install polyroute[gates]"
            yield Problem(path=f"{path}.dialect", message="dialects beside sqlite need sqlglot", fix=fix)
            return
        if gate.dialect not in dialects():
            near = Vocabulary(dialects()).fix(gate.dialect)
            yield Problem(path=f"{path}.dialect", message=f"there is no dialect `{gate.dialect[:40]}`", fix=near)
            return
    if gate.schema is not None and (problem := schema_problem(gate.schema, gate.dialect)):
        yield Problem(path=f"{path}.schema", message=problem)


@cache
def _sandbox_problem() -> str | None:
    return Sandbox().problem()


_PLAIN = GateSmith(parsers=Parsers(), name_model=lambda target: target)
