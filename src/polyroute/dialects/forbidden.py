"""Request fields and addresses that no caller may set: which upstream is called, and with which key, is configured.

Other unknown fields are none of this module's business: they pass to an upstream of the same dialect.
Names: the client options of the OpenAI and Anthropic SDKs and LiteLLM's per-call parameters.
"""

from collections.abc import Iterable

from polyroute.dialects.addresses import is_public
from polyroute.dialects.fields import wrong
from polyroute.errors import InvalidRequest
from polyroute.types.content import Inline, Link

_NAMES = frozenset({
    "api_base", "api_key", "api_type", "api_version", "auth_token", "authorization", "base_url", "callback",
    "callback_url", "callbacks", "client", "credentials", "custom_llm_provider", "default_headers", "default_query",
    "deployment_id", "endpoint", "extra_body", "extra_headers", "extra_query", "failure_callback", "headers",
    "hf_model_name", "http_client", "model_list", "organization", "proxies", "proxy", "region_name",
    "router_settings_override", "success_callback", "user_config", "watsonx_region_name", "webhook", "webhook_url",
})  # fmt: skip
_PREFIXES = ("aws_", "azure_", "litellm_", "oci_", "sagemaker_", "vertex_")


def refuse_forbidden(names: Iterable[str]) -> None:
    """Raises InvalidRequest where one of `names`, a body's unknown fields, would steer the call to the upstream."""
    for name in names:
        if name in _NAMES or name.startswith(_PREFIXES):
            raise InvalidRequest(
                f"`{name}` may not be set by a request: addresses, credentials and headers of providers are configured",
                field=name,
                code="forbidden_field",
            )


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
