"""Settings that are wrong by themselves: names, addresses, prices, patterns. Pure."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from ipaddress import ip_address
from urllib.parse import urlsplit

from polyroute.conditions import Condition, pattern_problem
from polyroute.config.document import (
    Complexity,
    Logic,
    Oidc,
    PerToken,
    Provider,
    Retention,
    Route,
    Rules,
    Server,
    Store,
    Tier,
    names,
)
from polyroute.config.suggest import Vocabulary
from polyroute.errors import Problem

CONTENTS = ("tools", "image", "document", "audio")  # what `when.has` may name

_NAME_MARKS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:+-")
_MAX_NAME = 128
_MAX_USD = Decimal(1_000_000_000)
_DATABASES = ("sqlite:///", "postgresql://")
_HEADER_MARKS = frozenset("_abcdefghijklmnopqrstuvwxyz0123456789-")
_OWN_HEADERS = frozenset({  # the transport's, the dialect's, the key's
    "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type", "expect",
    "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "x-api-key",
})  # fmt: skip


def name_problems(path: str, name: str, reserved: Mapping[str, str]) -> Iterator[Problem]:
    if name in reserved:
        yield Problem(path=path, message=f"the name `{name}` is reserved: {reserved[name]}", fix="choose another name")
    elif "/" in name:
        fix = "choose a name without `/`, and give provider/model as its value"
        yield Problem(path=path, message="a name cannot hold `/`: callers write provider/model with it", fix=fix)
    elif not name or len(name) > _MAX_NAME or not _NAME_MARKS.issuperset(name):
        fix = "letters, digits and . _ : + - only"
        yield Problem(path=path, message=f"{name[:_MAX_NAME]!r} cannot be a name", fix=fix)


def server_problems(server: Server) -> Iterator[Problem]:
    if server.auth == "open" and not _is_loopback(server.host):
        message = f"`open` lets everybody in who reaches {server.host}"
        yield Problem(path="server.auth", message=message, fix="`auth: keys`, or `host: 127.0.0.1`")
    if server.oidc is not None:
        yield from _oidc_problems(server, server.oidc)


def _oidc_problems(server: Server, oidc: Oidc) -> Iterator[Problem]:
    if server.auth == "open":
        message = "has no effect with `auth: open`, which asks nobody"
        yield Problem(path="server.oidc", message=message, fix="`auth: keys`")
    for name, address in (("issuer", oidc.issuer), ("jwks_url", oidc.jwks_url)):
        if address is None:
            continue
        host = urlsplit(address).hostname or ""
        if not address.startswith("https://") and not (address.startswith("http://") and _is_loopback(host)):
            message = "must be an https address, since whoever answers there says who may call"
            yield Problem(path=f"server.oidc.{name}", message=message, fix="https://…")
    if not names(oidc.audience) or not all(names(oidc.audience)):
        yield Problem(path="server.oidc.audience", message="names nobody: any token of the issuer would do")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def store_problems(store: Store) -> Iterator[Problem]:
    database = store.database
    if not database.startswith(_DATABASES) or database in _DATABASES:
        message = "is not the address of a database"
        yield Problem(path="store.database", message=message, fix="sqlite:///FILE or postgresql://…")
    if store.shared != "memory" and not store.shared.startswith(("redis://", "rediss://", "unix:///")):
        message = "is neither `memory` nor the address of a Redis or Valkey"
        yield Problem(path="store.shared", message=message, fix="memory, redis://HOST:PORT or unix:///PATH")
    yield from _retention_problems(store.retention)


_LEAST_DAYS = {
    "receipts": (2, "the answer to an idempotent request is looked up for a day"),
    "ledger": (62, "budgets of a month are sums of these rows"),
}


def _retention_problems(retention: Retention) -> Iterator[Problem]:
    for kind, (days, why) in _LEAST_DAYS.items():
        kept_s = getattr(retention, kind)
        if kept_s is not None and kept_s < days * 86_400:
            path, message = f"store.retention.{kind}", f"is too short: {why}"
            yield Problem(path=path, message=message, fix=f"{days}d or more; 36500d is for ever")


def provider_problems(path: str, provider: Provider) -> Iterator[Problem]:
    family = provider.dialect
    if provider.base_url is not None:
        yield from address_problems(f"{path}.base_url", provider.base_url, may_query=True)
    elif family in ("openai", "anthropic") and provider.api_key is None and not provider.managed_key:
        variable = f"{family.upper()}_API_KEY"
        message = "the provider's own address needs a key"
        yield Problem(path=f"{path}.api_key", message=message, fix=f"api_key: {{env: {variable}}}, or a base_url")
    if provider.managed_key and family in ("simulated", "replay"):
        yield Problem(path=f"{path}.managed_key", message=f"has no effect with `dialect: {family}`", fix="remove it")
    if family == "replay" and provider.recordings is None:
        yield Problem(path=f"{path}.recordings", message="`replay` needs its file of recorded answers")
    if family != "replay" and provider.recordings is not None:
        yield Problem(path=f"{path}.recordings", message=f"has no effect with `dialect: {family}`", fix="remove it")
    if family != "bedrock" and provider.credentials is not None:
        fix = "use api_key"
        yield Problem(path=f"{path}.credentials", message=f"has no effect with `dialect: {family}`", fix=fix)
    if provider.auth_header is not None and not _is_header(provider.auth_header):
        yield Problem(path=f"{path}.auth_header", message=f"{provider.auth_header!r} is no header's name")
    for header in provider.headers:
        if not _is_header(header):
            yield Problem(path=f"{path}.headers.{header}", message=f"{header!r} is no header's name")
        elif header.lower() in _OWN_HEADERS:
            message = "is set by the gateway itself"
            yield Problem(path=f"{path}.headers.{header}", message=message, fix="remove it; keys go into api_key")


def _is_header(name: str) -> bool:
    return bool(name) and _HEADER_MARKS.issuperset(name.lower())


def address_problems(path: str, url: str, *, may_query: bool = False) -> Iterator[Problem]:
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].partition("?")[0]
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    is_port = not colon or (port.isascii() and port.isdigit() and 0 < int(port) < 65536)
    if scheme not in ("http", "https") or not (name or port) or not is_port or any(c <= " " or c > "~" for c in url):
        yield Problem(path=path, message="is no address", fix="as http://127.0.0.1:11434/v1")
    elif "@" in host:
        yield Problem(path=path, message="holds a user or password", fix="use api_key or headers")
    elif "#" in url or ("?" in url and not may_query):
        yield Problem(path=path, message="holds a query or fragment: only the root belongs here")


def price_problems(path: str, price: PerToken) -> Iterator[Problem]:
    by_hour = (price.gpu_hour_usd, price.tokens_per_hour)
    by_token = (price.input, price.output)
    if any(part is not None for part in by_hour):
        if any(part is not None for part in by_token) or price.tiers:
            yield Problem(path=path, message="is given both per token and per hour", fix="keep one of the two")
        elif None in by_hour:
            yield Problem(path=path, message="needs both `gpu_hour_usd` and `tokens_per_hour`")
    elif None in by_token and (by_token != (None, None) or not says_units(price)):
        yield Problem(path=path, message="needs both `input` and `output`", fix="or write `price: free`")
    yield from _rates(path, price)
    last = 0
    for at, tier in enumerate(price.tiers):
        yield from _rates(f"{path}.tiers[{at}]", tier)
        if tier.above_input_tokens <= last:
            message = f"{tier.above_input_tokens} does not rise above the tier before it"
            yield Problem(path=f"{path}.tiers[{at}].above_input_tokens", message=message)
        last = tier.above_input_tokens


def says_units(price: PerToken) -> bool:
    """Whether it says what something else than tokens costs."""
    beside = (price.image or None, price.audio_minute, price.million_characters, price.search)
    return any(part is not None for part in beside) or price.image == 0


def _rates(path: str, rates: PerToken | Tier) -> Iterator[Problem]:
    for name in rates.__struct_fields__:
        value = getattr(rates, name)
        if isinstance(value, Decimal):
            yield from money_problems(f"{path}.{name}", value)
        elif isinstance(value, dict):
            for kind, amount in value.items():
                yield from money_problems(f"{path}.{name}.{kind}", amount)


def money_problems(path: str, amount: Decimal) -> Iterator[Problem]:
    if not amount.is_finite() or not 0 <= amount <= _MAX_USD:
        yield Problem(path=path, message=f"{amount} is no amount of money", fix="0 or more, in US dollars")


def strategy_problems(path: str, route: Route) -> Iterator[Problem]:
    match route.strategy:
        case Complexity(thresholds=thresholds) if thresholds.moderate > thresholds.complex:
            message = f"{thresholds.complex} is below `moderate` {thresholds.moderate}"
            yield Problem(path=f"{path}.thresholds.complex", message=message)
        case Rules(rules=rules):
            for at, rule in enumerate(rules):
                yield from _condition(f"{path}.rules[{at}].when", rule.when)
        case Logic(answers=answers):
            for at, answer in enumerate(answers):
                yield from _condition(f"{path}.answers[{at}].when", answer.when)
                given = [part for part in (answer.text, answer.lookup, answer.call) if part is not None]
                if len(given) != 1:
                    fix = "give exactly one of `text`, `lookup`, `call`"
                    yield Problem(path=f"{path}.answers[{at}]", message=f"has {len(given)} answers", fix=fix)
                if answer.call is not None:
                    where = f"{path}.answers[{at}].call.url"
                    yield from address_problems(where, answer.call.url, may_query=True)
                    if "{" in answer.call.url.partition("://")[2].partition("?")[0].partition("/")[0]:
                        fix = "write it out: a caller's words may not choose who is asked"
                        yield Problem(path=where, message="the host cannot be filled in", fix=fix)
        case _:
            return


def _condition(path: str, when: Condition) -> Iterator[Problem]:
    if when.matches is not None and (reason := pattern_problem(when.matches)):
        yield Problem(path=f"{path}.matches", message=f"is no pattern: {reason}")
    for at, content in enumerate(when.has):
        if content not in CONTENTS:
            fix = Vocabulary(CONTENTS).fix(content)
            yield Problem(path=f"{path}.has[{at}]", message=f"no request has `{content}`", fix=fix)
    if when.min_words is not None and when.max_words is not None and when.min_words > when.max_words:
        yield Problem(path=f"{path}.max_words", message=f"{when.max_words} is less than min_words {when.min_words}")
