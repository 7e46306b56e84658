"""OpenAI, and every server that speaks its APIs: Azure, vLLM, Ollama, Groq, Mistral, OpenRouter, …

What differs between them is data: the address (with a query, and `{model}` where a deployment's name stands in the
path), the header that carries the key, further headers. Azure has its endpoints in two places: those of a deployment
below its name, all others at the account.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from polyroute.ports import Dialect, Transport
from polyroute.providers.http import HttpProvider, Secret
from polyroute.providers.transport.address import parse_url

BASE_URL = "https://api.openai.com/v1"

# learn.microsoft.com, "Azure OpenAI REST API reference", authentication: keys go into `api-key`.
_KEY_HEADERS = ((".azure.com", "api-key"), (".azure.us", "api-key"))
# The same page, "Data plane inference": what is asked of a deployment. `/responses` and `/v1/…` name it in the body.
_OF_A_DEPLOYMENT = (
    "/completions", "/chat/completions", "/embeddings", "/audio/transcriptions", "/audio/translations",
    "/audio/speech", "/images/generations", "/images/edits",
)  # fmt: skip
_DEPLOYMENTS = "/deployments/"


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
        """`auth_header`: where the key goes; None: `authorization` as a bearer, or the host's own custom.

        Raises ValueError, with the reason, for an address or a header that cannot be sent.
        """
        base_url = base_url or BASE_URL
        custom = _key_header(base_url)
        name = (auth_header or custom or "authorization").lower()
        credentials: dict[str, str] = {}
        if api_key is not None:
            key = api_key.reveal()
            credentials[name] = f"Bearer {key}" if name == "authorization" else key
        if custom is not None:
            base_url = _azure(base_url)
        account, _, deployment = base_url.partition("?")[0].partition(_DEPLOYMENTS)
        roots: dict[str, str] = {}
        if deployment:
            roots = dict.fromkeys(_OF_A_DEPLOYMENT, f"{account}{_DEPLOYMENTS}{deployment.rstrip('/')}")
            base_url = base_url.replace(f"{_DEPLOYMENTS}{deployment}", "")
        super().__init__(
            dialects=dialects,
            transport=transport,
            base_url=base_url,
            credentials=credentials,
            headers=headers or {},
            roots=roots,
        )


def _key_header(base_url: str) -> str | None:
    """The custom of a host that is Azure's; None for any other."""
    host = parse_url(base_url.replace("{model}", "model")).origin.host
    return next((header for suffix, header in _KEY_HEADERS if host.endswith(suffix)), None)


def _azure(base_url: str) -> str:
    """An address at Azure, as its SDKs are given it, made whole.

    `https://NAME.openai.azure.com` is `/openai/v1` there; with an `api-version` it is the interface before that, whose
    models stand in the path.
    """
    root, _, query = base_url.partition("?")
    root = root.rstrip("/")
    path = urlsplit(root).path
    is_dated = "api-version=" in query
    if path == "":
        root += "/openai" if is_dated else "/openai/v1"
    if path in ("", "/openai") and is_dated:
        root += f"{_DEPLOYMENTS}{{model}}"
    elif (path == "/openai" or _DEPLOYMENTS in path) and not is_dated:
        raise ValueError(f"the address lacks its version: write {root}?api-version=…, or …/openai/v1")
    return f"{root}?{query}" if query else root
