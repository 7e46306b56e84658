"""What is known of a model, and where it can be called."""

from datetime import date
from decimal import Decimal

from msgspec import Struct

from polyroute.types.money import ZERO_USD
from polyroute.types.privacy import DataPolicy
from polyroute.types.request import Operation


class Rates(Struct, frozen=True, kw_only=True):
    """US dollars per million tokens, by token class. None: the class is priced as its parent.

    Parents: cached_input, cache_write and input_audio follow input; cache_write_1h follows cache_write;
    reasoning and output_audio follow output. What is not counted in tokens has a price each, or none that is known.
    """

    input: Decimal = ZERO_USD
    output: Decimal = ZERO_USD
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None
    image: Decimal | None = None  # each
    images: dict[str, Decimal] = {}  # each, by quality and size ("hd/1024x1024"), by one of them; else as `image`
    audio_minute: Decimal | None = None  # heard
    million_characters: Decimal | None = None  # spoken
    search: Decimal | None = None  # one list reranked


class Tier(Struct, frozen=True, kw_only=True):
    """Rates for the whole request once its input is longer than `above_input_tokens`."""

    above_input_tokens: int
    rates: Rates


class Price(Struct, frozen=True, kw_only=True):
    rates: Rates
    tiers: tuple[Tier, ...] = ()  # by rising above_input_tokens
    per_request_usd: Decimal | None = None  # charged beside the tokens, once per answer
    effective_from: date | None = None  # None: since ever
    source: str  # "document", or where and when it was read


class ModelCard(Struct, frozen=True, kw_only=True):
    """Facts about one model's weights. None: not known, which is never read as "cannot"."""

    id: str  # "openai/gpt-4o-mini"
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    modalities: frozenset[str] | None = None  # inputs: "text", "image", "audio", "pdf"
    capabilities: frozenset[str] | None = None  # "tools", "json_schema", "json", "thinking", "logprobs", ...
    operations: frozenset[Operation] | None = None  # "chat", "embeddings", ...
    image_tokens: int | None = None  # the most that one image counts as
    tags: frozenset[str] = frozenset()  # what it is good for: "code", "long_context", ...
    quality: float | None = None  # 0..1, measured or declared
    latency_ms: float | None = None  # typical time to first token
    tokens_per_s: float | None = None
    prices: tuple[Price, ...] = ()  # by rising effective_from; empty: price unknown
    source: str = "unknown"
    as_of: date | None = None


class Deadlines(Struct, frozen=True, kw_only=True):
    """How long one attempt may take, in seconds."""

    connect_s: float = 5.0
    first_token_s: float = 60.0  # to the first byte of the answer's body
    between_tokens_s: float = 30.0
    total_s: float = 600.0


class Deployment(Struct, frozen=True, kw_only=True):
    """A model at one account and region: what an attempt calls."""

    id: str  # "general-model@openai", unique in the document
    model: str  # the document's name for the model
    provider: str  # the document's name for the provider
    dialect: str  # "openai_chat", ...; "" where the provider speaks none (simulated, replay)
    upstream_model: str  # the provider's own name
    card: ModelCard
    region: str | None = None
    private: bool = False
    data_policy: DataPolicy = DataPolicy()  # what its provider promises
    is_ours: bool = False  # answered by the gateway itself: nobody else is asked
    weight: float = 1.0
    buckets: tuple[str, ...] = ()  # whose files requests may name: "gs://name", "s3://name/folder"
    quirks: frozenset[str] = frozenset()  # where it departs from its dialect: the words are in `types.quirks`
    max_tries: int = 2  # attempts at this deployment before the plan moves on
    deadlines: Deadlines = Deadlines()
