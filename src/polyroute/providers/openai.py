"""OpenAI, and every server that speaks its chat completions: Azure, vLLM, Ollama, Groq, Mistral, OpenRouter, …

What differs between them is data: the address (with a query, and `{model}` where a deployment's name stands in the
path), the header that carries the key, further headers.
"""

from collections.abc import Mapping, Sequence

from polyroute.ports import Dialect, Transport
from polyroute.providers.http import HttpProvider, Secret
from polyroute.providers.transport.address import parse_url

BASE_URL = "https://api.openai.com/v1"

# learn.microsoft.com, "Azure OpenAI REST API reference", authentication: keys go into `api-key`.
_KEY_HEADERS = ((".azure.com", "api-key"), (".azure.us", "api-key"))


class OpenAI(HttpProvider):
    def __init__(
        self,
        *,
        dialects: Sequence[Dialect],
        transport: Transport,
        base_url: str | None = None,
        api_key: Secret | None = None,
        headers: Mapping[str, Secret] | None = None,
        auth_header: str | None = None,
    ) -> None:
        """`auth_header`: where the key goes; None: `authorization` as a bearer, or the host's own custom."""
        base_url = base_url or BASE_URL
        name = (auth_header or _key_header(base_url)).lower()
        credentials: dict[str, str] = {}
        if api_key is not None:
            key = api_key.reveal()
            credentials[name] = f"Bearer {key}" if name == "authorization" else key
        super().__init__(
            dialects=dialects, transport=transport, base_url=base_url, credentials=credentials, headers=headers or {}
        )


def _key_header(base_url: str) -> str:
    host = parse_url(base_url.replace("{model}", "model")).origin.host
    return next((header for suffix, header in _KEY_HEADERS if host.endswith(suffix)), "authorization")
