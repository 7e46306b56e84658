"""What no caller may set: which upstream is called, with which key, by which other model, under whose data policy.

Fields that would say so are refused by name, however they are written; so is any address of a private network in a
field that is handed on unread or in a tool that the provider runs. Other unknown fields are none of this module's
business: they pass to an upstream of the same dialect.
Names: the client options of the OpenAI, Anthropic and Google SDKs, LiteLLM's per-call parameters, OpenRouter's "Model
Routing" and "Provider Routing", Anthropic's "Data residency".
"""

from collections.abc import Callable, Mapping
from typing import NoReturn

from polyroute.dialects.addresses import is_public
from polyroute.dialects.fields import wrong
from polyroute.errors import InvalidRequest
from polyroute.types.content import Inline, Link

_NAMES = frozenset({
    "api_base", "api_key", "api_type", "api_version", "auth", "auth_token", "authorization", "base_url", "bearer_token",
    "callback", "callback_url", "callbacks", "client", "credentials", "custom_llm_provider", "default_headers",
    "default_query", "deployment_id", "endpoint", "endpoint_url", "extra_body", "extra_headers", "extra_query",
    "failure_callback", "headers", "hf_model_name", "http_client", "http_options", "model_list", "organization",
    "project_id", "proxies", "proxy", "region_name", "role_arn", "router_settings_override", "success_callback",
    "user_config", "watsonx_region_name", "webhook", "webhook_url", "webhooks",
})  # fmt: skip
_PREFIXES = ("aws_", "azure_", "litellm_", "oci_", "sagemaker_", "vertex_")
_ROUTING = frozenset({"models", "route", "preset", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks"})
_SQUASHED = {name.replace("_", ""): name for name in _NAMES | _ROUTING}
# Of OpenRouter's `provider` what can only narrow where the prompt goes; its order, its sorting and its leave to widen
# are not for the caller: the company that they bring to answer may be dearer than what was held for it.
_NARROWS: Mapping[str, Callable[[object], bool]] = {
    "only": lambda value: type(value) is list,
    "ignore": lambda value: type(value) is list,
    "quantizations": lambda value: type(value) is list,
    "max_price": lambda value: type(value) is dict,
    "require_parameters": lambda value: value is True,
    "zdr": lambda value: value is True,
    "data_collection": lambda value: value == "deny",
    "enforce_distillable_text": lambda value: value is True,
    "allow_fallbacks": lambda value: value is False,
}
_SCHEMES = ("http://", "https://")


def refuse_forbidden(fields: Mapping[str, object]) -> None:
    """Raises InvalidRequest where one of `fields`, those of a body that are handed on unread, would steer the call."""
    for name, value in fields.items():
        known = _SQUASHED.get(name.replace("_", "").replace("-", "").lower())
        if known in _ROUTING:
            _refuse(name, "which models stand in for which is configured")
        if known is not None or name.lower().startswith(_PREFIXES):
            _refuse(name, "addresses, credentials and headers of providers are configured")
        if name == "provider":
            _check_narrowing(value)
        elif name == "inference_geo" and value == "global":
            _refuse(name, "where data may go is configured, and a request cannot widen it")
        refuse_private(value, name)


def refuse_private(value: object, at: str) -> None:
    """Raises InvalidRequest where `value`, or something within it, is an address of a private network.

    For what a provider fetches or calls by itself: its own tools, servers of tools, fields that are not known here.
    """
    if type(value) is str:
        if value[:8].lower().startswith(_SCHEMES) and " " not in value and not is_public(value):
            wrong(at, "an address on the public internet", value, code="forbidden_url")
    elif type(value) is dict:
        for name, inner in value.items():
            refuse_private(inner, f"{at}.{name}")
    elif type(value) is list:
        for index, inner in enumerate(value):
            refuse_private(inner, f"{at}[{index}]")


def _check_narrowing(value: object) -> None:
    if type(value) is not dict:
        _refuse("provider", "which company answers is configured")
    for name, inner in value.items():
        if name not in _NARROWS or not _NARROWS[name](inner):
            _refuse(f"provider.{name}", "which company answers is configured; a request may only narrow it")


def _refuse(name: str, why: str) -> NoReturn:
    shown = name[:80]
    raise InvalidRequest(f"`{shown}` may not be set by a request: {why}", field=shown, code="forbidden_field")


def media_at(url: str, at: str) -> Inline | Link:
    """What `url` points to: the bytes of a base64 data URL, or an http(s) address for the provider to fetch."""
    scheme = url[: url.find(":") + 1].lower()
    if scheme == "data:":
        comma = url.find(",")
        media_type, *parameters = url[5:comma].split(";")
        if comma < 0 or "base64" not in parameters:
            wrong(at, "a data URL of the form data:TYPE;base64,DATA", url, code="invalid_value")
        return Inline(media_type=media_type or "text/plain", data=url[comma + 1 :])
    if scheme not in ("http:", "https:") or not url.startswith("//", len(scheme)):
        wrong(at, "an http, https or data URL", url, code="forbidden_url")
    if not is_public(url):
        wrong(at, "an address on the public internet", url, code="forbidden_url")
    return Link(url=url)
