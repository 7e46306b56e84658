"""Settings of providers and models: where they are, what they cost, what they can."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import field

from polyroute.config.document.policy import Budget, DataPolicy, Pace, Sticky
from polyroute.config.document.words import Count, Failure, Family, Millis, Positive, Settings, Share, about
from polyroute.config.secret import Secret
from polyroute.types.request import Operation
from polyroute.types.routing import ChooseBy, StickyBy


class Timeouts(Settings, frozen=True):
    """How long one attempt may take, in seconds. What is not given keeps the value of the level above."""

    connect_s: Annotated[Positive | None, about("Until the connection stands. Default 5.")] = None
    first_token_s: Annotated[Positive | None, about("Until the answer's first byte. Default 60.")] = None
    between_tokens_s: Annotated[Positive | None, about("Between two pieces of a stream. Default 30.")] = None
    total_s: Annotated[Positive | None, about("The whole attempt. Default 600.")] = None


class Credentials(Settings, frozen=True):
    """A key pair, where a provider signs requests with one."""

    access_key: Annotated[Secret, about("The public half.")]
    secret_key: Annotated[Secret, about("The secret half.")]
    session_token: Annotated[Secret | None, about("Goes with temporary credentials.")] = None


class Provider(Settings, frozen=True):
    """A company's API, or a server of one's own: dialect, address, credentials."""

    dialect: Annotated[
        Family,
        about("The wire format it speaks. `simulated` answers by itself; `replay` answers from recordings."),
    ]
    base_url: Annotated[str | None, about("As the provider's own SDK is given it: OpenAI-shaped `…/v1`.")] = None
    api_key: Annotated[Secret | None, about("Sent to this provider only.")] = None
    managed_key: Annotated[
        bool, about("Its key is given by `polyroute providers set-key` or the admin API, and kept sealed.")
    ] = False
    auth_header: Annotated[
        str | None, about("The header that carries the key; else the dialect's own, or the host's.")
    ] = None
    credentials: Annotated[Credentials | None, about("Bedrock: without it, the usual AWS chain.")] = None
    headers: Annotated[dict[str, Secret], about("Further headers for every call, such as an organisation.")] = field(
        default_factory=dict
    )
    region: Annotated[str | None, about("Where its models run; routes may be bound to a region.")] = None
    private: Annotated[bool, about("Data stays in one's own hands there; routes may be bound to that.")] = False
    data_policy: Annotated[DataPolicy | None, about("What it promises about what it is sent.")] = None
    buckets: Annotated[
        tuple[str, ...],
        about(
            "Buckets, or folders in them, whose files requests may name (`gs://NAME`, `s3://NAME/FOLDER`): they are"
            " read with this account's credentials. Without any, a request that names one is refused."
        ),
    ] = ()
    recordings: Annotated[str | None, about("`replay`: the JSONL file of recorded answers.")] = None
    budget: Annotated[Budget, about("The most that may be spent there; beyond it another deployment is asked.")] = (
        Budget()
    )
    limits: Annotated[Pace, about("The account's own quota; beyond it another deployment is asked.")] = Pace()
    max_tries: Annotated[Count, about("Attempts at one deployment before the plan moves on.")] = 2
    timeouts: Annotated[Timeouts, about("For every model at this provider.")] = Timeouts()
    quirks: Annotated[
        tuple[str, ...],
        about("Where it departs from OpenAI's form, beside what the catalogue knows; `-name` takes one away."),
    ] = ()


class Tier(Settings, frozen=True):
    """Rates for the whole request once its input is longer than `above_input_tokens`. USD per million tokens."""

    above_input_tokens: Annotated[Count, about("From one token more on.")]
    input: Annotated[Decimal, about("Input tokens.")]
    output: Annotated[Decimal, about("Output tokens.")]
    cached_input: Annotated[Decimal | None, about("Input read from the provider's prompt cache.")] = None
    cache_write: Annotated[Decimal | None, about("Input written to the prompt cache.")] = None
    cache_write_1h: Annotated[Decimal | None, about("Written for an hour.")] = None
    reasoning: Annotated[Decimal | None, about("Reasoning tokens.")] = None
    input_audio: Annotated[Decimal | None, about("Audio input tokens.")] = None
    output_audio: Annotated[Decimal | None, about("Audio output tokens.")] = None


class PerToken(Settings, frozen=True):
    """US dollars per million tokens, or for what is not counted in tokens; or what a machine costs per hour."""

    input: Annotated[Decimal | None, about("Input tokens.")] = None
    output: Annotated[Decimal | None, about("Output tokens.")] = None
    cached_input: Annotated[Decimal | None, about("Input read from the provider's prompt cache; else as input.")] = None
    cache_write: Annotated[Decimal | None, about("Input written to the prompt cache; else as input.")] = None
    cache_write_1h: Annotated[Decimal | None, about("Written for an hour; else as cache_write.")] = None
    reasoning: Annotated[Decimal | None, about("Reasoning tokens; else as output.")] = None
    input_audio: Annotated[Decimal | None, about("Audio input tokens; else as input.")] = None
    output_audio: Annotated[Decimal | None, about("Audio output tokens; else as output.")] = None
    image: Annotated[
        Decimal | dict[str, Decimal] | None,
        about("Each image made; by quality and size where these matter: `{hd/1024x1024: 0.08, 1024x1024: 0.04}`."),
    ] = None
    audio_minute: Annotated[Decimal | None, about("Each minute of audio transcribed.")] = None
    million_characters: Annotated[Decimal | None, about("A million characters of text spoken.")] = None
    search: Annotated[Decimal | None, about("Each list of documents reranked.")] = None
    tiers: Annotated[tuple[Tier, ...], about("Other rates for long inputs, by rising length.")] = ()
    gpu_hour_usd: Annotated[Decimal | None, about("Self-hosted: the machine's price per hour.")] = None
    tokens_per_hour: Annotated[Count | None, about("Self-hosted: tokens, read and written, it makes per hour.")] = None


class Placement(Settings, frozen=True):
    """One place where a model can be called."""

    provider: Annotated[str, about("A name from `providers`.")]
    model: Annotated[str | None, about("The provider's own name for the model; else the document's.")] = None
    weight: Annotated[Positive, about("Share of the model's requests, against the other deployments' weights.")] = 1.0
    region: Annotated[str | None, about("Else the provider's.")] = None
    private: Annotated[bool | None, about("Else the provider's.")] = None
    price: Annotated[Literal["free"] | PerToken | None, about("What it costs here; else the model's.")] = None
    budget: Annotated[Budget, about("The most that may be spent here.")] = Budget()
    limits: Annotated[Pace, about("The most that may be asked here.")] = Pace()
    max_tries: Annotated[Count | None, about("Else the provider's.")] = None
    timeouts: Annotated[Timeouts, about("Over the provider's.")] = Timeouts()
    quirks: Annotated[tuple[str, ...], about("Beside the model's; `-name` takes one away.")] = ()
    latency_ms: Annotated[Millis | None, about("Typical, or simulated, time to the first token.")] = None
    tokens_per_s: Annotated[Positive | None, about("Typical, or simulated, speed.")] = None
    error_rate: Annotated[Share | None, about("Simulated: the share of calls that fail.")] = None
    answer: Annotated[str | None, about("Simulated: the text; `echo` repeats the newest user text.")] = None
    fail: Annotated[Failure | None, about("Simulated: every call fails so.")] = None
    fail_times: Annotated[Count | None, about("With `fail`: only the first so many calls do.")] = None


class Manner(Settings, frozen=True):
    """How a simulated model answers prompts of one difficulty."""

    quality: Annotated[Share, about("Which share of its answers is good; a prompt always gets the same.")] = 1.0
    output_tokens: Annotated[Count | None, about("How long they are.")] = None


class Model(Settings, frozen=True):
    """A name that routes use. What is not said here comes from the catalogue."""

    deployments: Annotated[tuple[Placement, ...], about("Where it can be called, if at several places.")] = ()
    choose: Annotated[
        ChooseBy | None,
        about(
            "Which of them goes first: by `weighted` draw, `least_busy`, `latency` (the better of two drawn),"
            " `cheapest`, or `by_class` (interactive by latency, batch and deferred by cost). Default weighted."
        ),
    ] = None
    sticky: Annotated[StickyBy | Sticky | None, about("Requests that belong together go to the same of them.")] = None
    provider: Annotated[str | None, about("Where it can be called, if at one place.")] = None
    model: Annotated[str | None, about("With `provider`: the provider's own name for the model.")] = None
    region: Annotated[str | None, about("With `provider`: else the provider's.")] = None
    private: Annotated[bool | None, about("With `provider`: else the provider's.")] = None
    max_tries: Annotated[Count | None, about("Attempts at one deployment before the plan moves on.")] = None
    timeouts: Annotated[Timeouts, about("Over the provider's.")] = Timeouts()
    quirks: Annotated[tuple[str, ...], about("Beside the provider's; `-name` takes one away.")] = ()
    price: Annotated[Literal["free"] | PerToken | None, about("What it costs; `free` is a price of 0.")] = None
    context_tokens: Annotated[Count | None, about("The longest input and output together.")] = None
    max_output_tokens: Annotated[Count | None, about("The longest output.")] = None
    capabilities: Annotated[
        tuple[str, ...] | None,
        about("All it can do beside text: tools, vision, audio, pdf, json, json_schema, thinking, logprobs, …"),
    ] = None
    operations: Annotated[
        tuple[Operation, ...] | None,
        about("All it may be asked for: chat, embeddings, moderation, rerank, image, transcription, speech."),
    ] = None
    tags: Annotated[tuple[str, ...] | None, about("What it is good for: code, long_context, …")] = None
    quality: Annotated[Share | None, about("How good its answers are, measured or declared.")] = None
    latency_ms: Annotated[Millis | None, about("Typical, or simulated, time to the first token.")] = None
    tokens_per_s: Annotated[Positive | None, about("Typical, or simulated, speed.")] = None
    error_rate: Annotated[Share | None, about("Simulated: the share of calls that fail.")] = None
    answer: Annotated[str | None, about("Simulated: the text; `echo` repeats the newest user text.")] = None
    fail: Annotated[Failure | None, about("Simulated: every call fails so.")] = None
    fail_times: Annotated[Count | None, about("With `fail`: only the first so many calls do.")] = None
    by_difficulty: Annotated[
        dict[str, Manner] | None, about("Simulated: its manner where the request's `metadata.difficulty` is this.")
    ] = None
    budget: Annotated[Budget | None, about("The most that may be spent on it.")] = None
    limits: Annotated[Pace, about("The most that may be asked of it, at all its deployments together.")] = Pace()
