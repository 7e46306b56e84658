"""Settings of validation: one group for each gate that looks at an answer."""

from typing import Annotated, Literal

from msgspec import Meta, field

from polyroute.config.document.words import Count, JsonObject, Positive, Settings, Share, Temperature, about

OnReject = Annotated[
    Literal["escalate", "retry", "review", "block"],
    about("What a rejected answer leads to: the next model, the same again, a person, or an error."),
]


class JsonGate(Settings, frozen=True, tag_field="use", tag="json"):
    """Accepts a response whose text is JSON."""

    allow_fences: Annotated[bool, about("Take it out of a Markdown fence first.")] = True
    on_reject: OnReject = "escalate"


class JsonSchemaGate(Settings, frozen=True, tag_field="use", tag="json_schema"):
    """Accepts a response whose text is JSON that fits the schema."""

    schema: Annotated[JsonObject, about("JSON Schema, 2020-12 unless it says otherwise.")]
    allow_fences: Annotated[bool, about("Take it out of a Markdown fence first.")] = True
    formats: Annotated[bool, about("Assert `format` too; else it is a remark, as the standard has it.")] = False
    resources: Annotated[
        dict[str, JsonObject], about("By address: other schemas that this one refers to. None is ever fetched.")
    ] = field(default_factory=dict)
    on_reject: OnReject = "escalate"


class LengthGate(Settings, frozen=True, tag_field="use", tag="length"):
    """Accepts a response whose text is neither too short nor too long."""

    min_chars: Annotated[int, Meta(ge=0), about("Characters, at least.")] = 1
    max_chars: Annotated[Count | None, about("Characters, at most.")] = None
    on_reject: OnReject = "escalate"


class RegexGate(Settings, frozen=True, tag_field="use", tag="regex"):
    """Accepts a response in which one pattern is found, and another is not. RE2 syntax, linear time."""

    matches: Annotated[str | None, about("Must be found.")] = None
    excludes: Annotated[str | None, about("Must not be found.")] = None
    on_reject: OnReject = "escalate"


class LanguageGate(Settings, frozen=True, tag_field="use", tag="language"):
    """Accepts a response in one of the languages, told by its script and frequent words; short texts pass."""

    languages: Annotated[tuple[str, ...], Meta(min_length=1), about("Two letters each: en, de, …")]
    on_reject: OnReject = "escalate"


class CodeGate(Settings, frozen=True, tag_field="use", tag="code"):
    """Accepts a response whose code parses."""

    language: Annotated[
        str, about("`python`; `javascript` with the extra `gates`; others where their tree-sitter wheel is installed.")
    ] = "python"
    run_examples: Annotated[
        bool,
        about("Python: also run the question's own examples, in a sandbox. Without one the gateway does not start."),
    ] = False
    on_reject: OnReject = "escalate"


class SqlGate(Settings, frozen=True, tag_field="use", tag="sql"):
    """Accepts a response whose SQL its dialect takes, against the declared tables. Nothing is run."""

    dialect: Annotated[str, about("`sqlite`; others by sqlglot's names (postgres, mysql, …), extra `gates`.")] = (
        "sqlite"
    )
    schema: Annotated[str | None, about("CREATE TABLE statements; else only the syntax is checked.")] = None
    tables: Annotated[tuple[str, ...] | None, about("The only tables that may be read.")] = None
    writes: Annotated[bool, about("Statements may do more than read.")] = False
    on_reject: OnReject = "escalate"


class AgreementGate(Settings, frozen=True, tag_field="use", tag="agreement"):
    """Accepts a response that other answers to the same question agree with."""

    samples: Annotated[
        int, Meta(ge=2, le=16), about("Answers of the same model, the response among them. Not with `models`.")
    ] = 3
    models: Annotated[
        tuple[str, ...], about("Other models, asked once each: two unlike models are worth three to four samples.")
    ] = ()
    by: Annotated[
        Literal["exact", "normalised", "numeric", "json", "embedding"],
        about("Same text; same words; same last number; same JSON value; same meaning, extra `embeddings`."),
    ] = "normalised"
    min_cosine: Annotated[Share, about("With `by: embedding`: the least likeness that counts as the same.")] = 0.85
    field: Annotated[str | None, about("Compare only this member of a JSON answer.")] = None
    at_least: Annotated[Count | None, about("How many must say the same, the response among them; else all.")] = None
    temperature: Annotated[Temperature | None, about("Of further samples; else the request's own.")] = None
    parallel: Annotated[bool, about("Ask them beside the first call: faster, and all of them are paid.")] = False
    on_reject: OnReject = "escalate"


class EntropyGate(Settings, frozen=True, tag_field="use", tag="entropy"):
    """Accepts a response whose words the model was sure of, by its token probabilities."""

    max_bits: Annotated[Positive | None, about("Mean entropy per token, at most.")] = None
    max_token_bits: Annotated[Positive | None, about("Entropy of the least sure token, at most.")] = None
    min_mean_logprob: Annotated[float | None, about("Mean log probability (natural), at least: 0 or less.")] = None
    min_logprob: Annotated[float | None, about("Of the least sure token, at least: 0 or less.")] = None
    fallback: Annotated[
        "Gate | Literal['accept', 'reject']", about("Where the provider gives no probabilities: a gate, or a word.")
    ] = "reject"
    on_reject: OnReject = "escalate"


class JudgeGate(Settings, frozen=True, tag_field="use", tag="judge"):
    """Accepts a response that another model finds good, by a rubric."""

    model: Annotated[str, about("The model that judges.")]
    rubric: Annotated[str | None, about("What a good answer is; else: correct, complete, does what is asked.")] = None
    min_score: Annotated[Share, about("Of 0 to 1.")] = 0.7
    max_output_tokens: Annotated[Count, about("Of the judge's words.")] = 200
    on_reject: OnReject = "escalate"


class AllGate(Settings, frozen=True, tag_field="use", tag="all"):
    """Accepts what every gate in it accepts."""

    gates: Annotated["tuple[Gate, ...]", Meta(min_length=1), about("In order; the first that rejects decides.")]
    on_reject: OnReject = "escalate"


class AnyGate(Settings, frozen=True, tag_field="use", tag="any"):
    """Accepts what one gate in it accepts."""

    gates: Annotated["tuple[Gate, ...]", Meta(min_length=1), about("In order; the first that accepts decides.")]
    on_reject: OnReject = "escalate"


class WeightedGate(Settings, frozen=True, tag_field="use", tag="weighted"):
    """Accepts what its gates find good enough together: the mean of their scores, by weight."""

    gates: Annotated["tuple[Gate, ...]", Meta(min_length=1), about("Each is asked.")]
    weights: Annotated[tuple[float, ...], about("Of `gates`, in order; else all alike.")] = ()
    min_score: Annotated[Share, about("Of 0 to 1.")] = 0.5
    on_reject: OnReject = "escalate"


Gate = (
    JsonGate
    | JsonSchemaGate
    | LengthGate
    | RegexGate
    | LanguageGate
    | CodeGate
    | SqlGate
    | AgreementGate
    | EntropyGate
    | JudgeGate
    | AllGate
    | AnyGate
    | WeightedGate
)
