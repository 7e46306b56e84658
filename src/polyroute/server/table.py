"""Every endpoint of the gateway."""

from polyroute.server import (
    admin,
    answers,
    bedrock,
    caching,
    classify,
    config,
    execute,
    feedback,
    gemini,
    health,
    later,
    litellm,
    lookups,
    operations,
    overrides,
    page,
    prompts,
    provider_keys,
    reviews,
    standing,
)
from polyroute.server.endpoints import Endpoint, Table
from polyroute.server.models import ModelDoor
from polyroute.server.openapi import OpenApi

_CHAT = ModelDoor(dialect="openai_chat")
_RESPONSES = ModelDoor(dialect="openai_responses")
_MESSAGES = ModelDoor(dialect="anthropic_messages")


def build_table() -> Table:
    endpoints = (
        *_doors(),
        *_reads(),
        *admin.endpoints(),
        *answers.endpoints(),
        *feedback.endpoints(),
        *reviews.endpoints(),
        *prompts.endpoints(),
        *overrides.endpoints(),
        *provider_keys.endpoints(),
        *config.endpoints(),
        *standing.endpoints(),
        *caching.endpoints(),
        *litellm.endpoints(),
        *_watchers(),
        *_later(),
    )
    return Table((*endpoints, _openapi(endpoints)))


def _doors() -> list[Endpoint]:
    chat = [
        Endpoint(method="POST", path=path, handler=_CHAT, summary="Chat completion, OpenAI's shape")
        for path in ("/v1/chat/completions", "/chat/completions")
    ]
    responses = [
        Endpoint(
            method="POST", path=path, handler=_RESPONSES, summary="Response, OpenAI's shape", dialect="openai_responses"
        )
        for path in ("/v1/responses", "/responses")
    ]
    messages = [
        endpoint
        for prefix in ("", "/anthropic")
        for endpoint in (
            Endpoint(
                method="POST",
                path=f"{prefix}/v1/messages",
                handler=_MESSAGES,
                summary="Message, Anthropic's shape",
                dialect="anthropic_messages",
            ),
            Endpoint(
                method="POST",
                path=f"{prefix}/v1/messages/count_tokens",
                handler=lookups.count_tokens,
                summary="Input tokens of a message",
                dialect="anthropic_messages",
            ),
        )
    ]
    run = Endpoint(method="POST", path="/v1/execute", handler=execute.execute, summary="A task, a strategy, models")
    return [*chat, *responses, *messages, *bedrock.endpoints(), *gemini.endpoints(), *operations.endpoints(), run]


def _reads() -> list[Endpoint]:
    return [
        Endpoint(method="POST", path="/v1/route", handler=lookups.route, summary="Dry run: what would be decided"),
        Endpoint(method="POST", path="/v1/classify", handler=classify.classify, summary="Texts to classes"),
        Endpoint(
            method="GET",
            path="/v1/receipts/{id}",
            handler=lookups.receipt,
            summary="How a request was answered",
            action="receipts:read",
        ),
        Endpoint(
            method="GET", path="/v1/models", handler=lookups.models, action="models:read", summary="Routes and models"
        ),
        Endpoint(
            method="GET", path="/models", handler=lookups.models, action="models:read", summary="Routes and models"
        ),
        *(
            Endpoint(
                method="GET",
                path=f"/v1/models/{name}",
                handler=lookups.model,
                action="models:read",
                summary="One route or model",
            )
            for name in ("{id}", "{provider}/{id}", "{provider}/{owner}/{id}")  # names hold slashes
        ),
    ]


def _watchers() -> list[Endpoint]:
    alive = [
        Endpoint(method="GET", path=path, handler=health.live, summary="The process answers", action=None, always=True)
        for path in ("/health", "/healthz", "/health/live", "/health/liveness", "/health/liveliness")
    ]
    ready = [
        Endpoint(
            method="GET", path=path, handler=health.ready, summary="Requests can be served", action=None, always=True
        )
        for path in ("/health/ready", "/health/readiness")
    ]
    return [
        *alive,
        *ready,
        Endpoint(
            method="GET",
            path="/metrics",
            handler=health.metrics,
            summary="Prometheus metrics",
            action=None,
            always=True,
        ),
        Endpoint(method="GET", path="/", handler=page.page, summary="Figures of this gateway", action=None),
    ]


def _later() -> list[Endpoint]:
    return [
        Endpoint(
            method=method, path=path, handler=later.later, action="models:read", summary="Not offered by this version"
        )
        for method, path in later.PATHS
    ]


def _openapi(endpoints: tuple[Endpoint, ...]) -> Endpoint:
    return Endpoint(
        method="GET",
        path="/openapi.json",
        handler=OpenApi(endpoints=endpoints),
        summary="This description",
        action=None,
    )
