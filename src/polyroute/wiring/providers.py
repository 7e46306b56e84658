"""From what a document says of providers to adapters that can be called."""

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from polyroute.config import document as settings
from polyroute.config.document import Document
from polyroute.config.resolve import simulations
from polyroute.config.secret import Secret
from polyroute.errors import ConfigError, MalformedReply, Problem
from polyroute.ports import Classifier, Provider, Transport
from polyroute.providers.anthropic import Anthropic
from polyroute.providers.bedrock import Bedrock, endpoint, region_of
from polyroute.providers.gemini import Gemini
from polyroute.providers.http import HttpProvider
from polyroute.providers.logic import Fetch, LogicProvider, Lookup, Rule, Service
from polyroute.providers.moderated import ModeratedProvider
from polyroute.providers.openai import OpenAI
from polyroute.providers.replay import Replay
from polyroute.providers.simulated import Simulated, SimulatedModel
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.quota import Quota
from polyroute.wiring import dialects
from polyroute.wiring.moderation import moderation_deployments
from polyroute.wiring.ours import own_deployment
from polyroute.wiring.routes import LOGIC, logic_model

_BEDROCK_KEY = "AWS_BEARER_TOKEN_BEDROCK"  # a Bedrock API key, where AWS's own SDKs look for it
_KEYLESS = ("simulated", "replay")


class Workshop(Struct, frozen=True, kw_only=True):
    """What adapters are built with."""

    document: Document
    folder: Path  # the document's relative paths start here
    transport: Transport
    classifier: Classifier
    on_quota: Callable[[str, Quota], None] | None = None  # what providers say is left of their quotas, by deployment


def build_providers(shop: Workshop) -> dict[str, Provider]:
    """By the document's name. Raises ConfigError with every provider that cannot be built."""
    built: dict[str, Provider] = {}
    problems = []
    for name, provider in shop.document.providers.items():
        try:
            if (made := build_provider(name, provider, shop)) is not None:
                built[name] = made
        except (ValueError, OSError) as exc:
            problems.append(Problem(path=f"providers.{name}", message=str(exc)))
    if problems:
        raise ConfigError(problems)
    for name, logic in _logic_routes(shop.document):
        rules = {logic_model(name, at): _rule(answer) for at, answer in enumerate(logic.answers)}
        built[f"{LOGIC}/{name}"] = LogicProvider(rules, _fetch(shop.transport))
    built |= dict.fromkeys(moderation_deployments(shop.document), ModeratedProvider())
    return built


def build_provider(name: str, provider: settings.Provider, shop: Workshop) -> Provider | None:
    """None for a family that `check` refuses wherever a route uses it. Raises ValueError or OSError."""
    build = _BUILDERS.get(provider.dialect)
    built = None if build is None else build(name, provider, shop)
    if isinstance(built, HttpProvider):
        built.on_quota = shop.on_quota
    return built


def keyed_providers(document: Document) -> dict[str, str]:
    """Those that take a key, and where the document has it from."""
    return {
        name: "document" if provider.api_key is not None else "none"
        for name, provider in document.providers.items()
        if provider.dialect not in _KEYLESS
    }


def logic_deployments(document: Document) -> dict[str, tuple[Deployment, ...]]:
    """Plain logic stands in a plan like any model: one deployment per answer of a route."""
    return {
        (model := logic_model(name, at)): (
            own_deployment(
                model, provider=f"{LOGIC}/{name}", upstream_model=LOGIC, region=document.routes[name].region
            ),
        )
        for name, logic in _logic_routes(document)
        for at in range(len(logic.answers))
    }


def _logic_routes(document: Document) -> list[tuple[str, settings.Logic]]:
    return [
        (name, route.strategy) for name, route in document.routes.items() if isinstance(route.strategy, settings.Logic)
    ]


def _openai(name: str, provider: settings.Provider, shop: Workshop) -> Provider:
    return OpenAI(
        dialects=dialects.OPENAI_SHAPED,
        transport=shop.transport,
        base_url=provider.base_url,
        api_key=provider.api_key,
        headers=provider.headers,
        auth_header=provider.auth_header,
    )


def _anthropic(name: str, provider: settings.Provider, shop: Workshop) -> Provider:
    return Anthropic(
        dialect=dialects.ANTHROPIC_MESSAGES,
        transport=shop.transport,
        base_url=provider.base_url,
        api_key=provider.api_key,
        headers=provider.headers,
        auth_header=provider.auth_header,
    )


def _bedrock(name: str, provider: settings.Provider, shop: Workshop) -> Provider:
    """With an API key calls need no signature, and then nothing of AWS's is loaded."""
    api_key, given, transport = provider.api_key, provider.credentials, shop.transport
    if api_key is None and given is None and (found := os.environ.get(_BEDROCK_KEY)):
        api_key = Secret(found, name=_BEDROCK_KEY)
    region = region_of(provider.base_url) if provider.base_url is not None else None
    region = region or provider.region or os.environ.get("AWS_REGION")
    if api_key is None:
        signing = _signing()
        region = region or signing.usual_region()
        if given is None:
            wallet = signing.usual_wallet()
        else:
            token = None if given.session_token is None else given.session_token.reveal()
            wallet = signing.given_wallet(given.access_key.reveal(), given.secret_key.reveal(), token)
        transport = signing.SigningTransport(transport, wallet, _need(region))
    return Bedrock(
        dialect=dialects.BEDROCK_CONVERSE,
        transport=transport,
        base_url=provider.base_url or endpoint(_need(region)),
        api_key=api_key,
        headers=provider.headers,
        auth_header=provider.auth_header,
    )


def _need(region: str | None) -> str:
    if region is None:
        raise ValueError("the region is missing: set `region`, or AWS_REGION")
    return region


def _signing() -> Any:
    """The module that signs, whose library comes with an extra. Raises ValueError where it is not installed."""
    try:
        return import_module("polyroute.providers.signing")
    except ModuleNotFoundError as exc:
        raise ValueError("calls to Bedrock are signed by botocore: pip install 'polyroute[bedrock]'") from exc


def _gemini(name: str, provider: settings.Provider, shop: Workshop) -> Provider:
    return Gemini(
        dialect=dialects.GEMINI,
        others=(dialects.GEMINI_EMBEDDINGS,),
        transport=shop.transport,
        base_url=provider.base_url,
        api_key=provider.api_key,
        headers=provider.headers,
        auth_header=provider.auth_header,
    )


def _simulated(name: str, provider: settings.Provider, shop: Workshop) -> Provider:
    return Simulated(
        models={
            deployment_id: msgspec.convert(
                {setting: value for setting, value in asdict(given).items() if value is not None},
                SimulatedModel,
                from_attributes=True,
            )
            for deployment_id, given in simulations(shop.document).items()
        }
    )


def _replay(name: str, provider: settings.Provider, shop: Workshop) -> Provider:
    return Replay(recordings=shop.folder / (provider.recordings or ""))


_BUILDERS: dict[str, Callable[[str, settings.Provider, Workshop], Provider]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
    "simulated": _simulated,
    "replay": _replay,
}


def _rule(answer: settings.LogicAnswer) -> Rule:
    if answer.lookup is not None:
        found = answer.lookup
        return Rule(when=answer.when, answer=Lookup(key=found.key, table=found.table, missing=found.missing))
    if answer.call is not None:
        headers = {header: secret.reveal() for header, secret in answer.call.headers.items()}
        return Rule(
            when=answer.when, answer=Service(url=answer.call.url, headers=headers, timeout_s=answer.call.timeout_s)
        )
    return Rule(when=answer.when, answer=answer.text or "")


def _fetch(transport: Transport) -> Fetch:
    """A GET of a service that the document names. Raises ProviderError."""

    async def fetch(url: str, headers: Mapping[str, str], timeout_s: float) -> str:
        deadlines = Deadlines(
            connect_s=timeout_s, first_token_s=timeout_s, between_tokens_s=timeout_s, total_s=timeout_s
        )
        reply = await transport.get(url, headers, deadlines)
        try:
            if reply.status != 200:
                raise MalformedReply(f"the service answered with status {reply.status}", http_status=reply.status)
            return (await reply.read()).decode("utf-8", "replace")
        finally:
            reply.close()

    return fetch
