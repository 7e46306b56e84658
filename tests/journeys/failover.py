"""The page `docs/reference/failover.md`: what each fault of a provider comes to, from a real run.

`python -m tests.journeys.failover` writes it; a test compares it with what a run says. Every case has a provider and a
model of its own, so that no breaker of one case is seen by another; all of them run at once.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson
from tests.journeys.rig import KEY, Told, ask, gateway
from tests.journeys.upstream import (
    CUT,
    HANGS,
    Answer,
    Heard,
    chat,
    chat_events,
    chunk,
    failing,
    stream,
    upstream,
    whole,
)

from polyroute.types.money import format_usd
from polyroute.types.receipt import Receipt

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "failover.md"
Mode = Literal["whole", "before", "after"]
MODES: Mapping[Mode, str] = {
    "whole": "not streamed",
    "before": "streamed, before any content",
    "after": "streamed, after some content",
}
Help = Literal["alone", "standing by", "going on"]
_MODELS: Mapping[Help, str] = {"alone": "{}-alone", "standing by": "route-{}", "going on": "going-{}"}
_HEADS: Mapping[Help, str] = {
    "alone": "alone",
    "standing by": "standing by",
    "going on": "standing by, `on_interrupt: continue`",
}
_BEGUN = chunk({"role": "assistant", "content": ""})
_SAID = (_BEGUN, chunk({"content": "Once upon "}))
_ERROR = b'data: {"error": {"message": "the model fell over", "type": "server_error"}}\n\n'
_HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
_NEVER = asyncio.Event  # never set: what comes after it does not come
_SOON_S = 0.05


class _Soon(asyncio.Event):
    """What comes before it has been read when what comes after it is sent."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    name: str
    answers: Mapping[Mode, Answer]
    place: str = "http"  # "closed": nobody listens there; "tls": no TLS is spoken there
    is_hasty: bool = False  # the case waits for a time limit, which is short


def helps(mode: Mode) -> tuple[Help, ...]:
    """Only once something was told is there anything to go on with."""
    return ("alone", "standing by", "going on") if mode == "after" else ("alone", "standing by")


def every(answer: Answer) -> Mapping[Mode, Answer]:
    return {"whole": answer, "before": answer}


def streams(*before: bytes | asyncio.Event, end: str = "keep") -> Mapping[Mode, Answer]:
    """The same end of a stream that has only begun, and of one that has said something."""
    return {"before": stream(_BEGUN, *before, end=end), "after": stream(*_SAID, _Soon(), *before, end=end)}


def faults() -> tuple[Fault, ...]:
    limited = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}
    return (
        Fault(name="connection refused", answers=every(HANGS), place="closed"),
        Fault(name="TLS fails", answers=every(HANGS), place="tls"),
        Fault(name="reset before the head", answers=every(Answer(end="cut"))),
        Fault(name="reset in the body", answers={"whole": CUT, **streams(end="cut")}),
        Fault(name="hangs before the head", answers=every(HANGS), is_hasty=True),
        Fault(
            name="hangs in the body",
            answers={"whole": Answer(pieces=(b"{", _NEVER()), chunked=True, end="hang"), **streams(end="hang")},
            is_hasty=True,
        ),
        Fault(name="one byte, then another much later", answers=every(_slow()), is_hasty=True),
        Fault(name="400", answers=every(failing(400, "no such parameter", "invalid_request_error", "bad_parameter"))),
        Fault(name="401", answers=every(failing(401, "no such key", "invalid_request_error", "invalid_api_key"))),
        Fault(name="404", answers=every(failing(404, "no such model", "invalid_request_error", "model_not_found"))),
        Fault(name="408", answers=every(failing(408, "too slow", "server_error"))),
        Fault(name="413", answers=every(failing(413, "too large", "invalid_request_error"))),
        Fault(name="429, Retry-After: 30", answers=every(whole(limited, 429, retry_after="30"))),
        Fault(name="429, Retry-After: 0", answers=every(whole(limited, 429, retry_after="0"))),
        Fault(name="429, without Retry-After", answers=every(whole(limited, 429))),
        Fault(name="500", answers=every(failing(500))),
        Fault(name="503", answers=every(failing(503))),
        Fault(name="200 and JSON that is none", answers=every(Answer(pieces=(b'{"choices": [',)))),
        Fault(name="200 and a page of HTML", answers=every(Answer(pieces=(_HTML,), kind="text/html"))),
        Fault(name="200 and nothing", answers=every(Answer())),
        Fault(name="200 and an error", answers=every(failing(200))),
        Fault(name="stream ends without its end", answers=streams()),
        Fault(name="stream says an error", answers=streams(_ERROR)),
        Fault(name="stream turns to garbage", answers=streams(b"data: {\xff\n\n")),
    )


def _slow() -> Answer:
    return Answer(pieces=(b" ", _NEVER()), chunked=True)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One case: what its caller saw and what the books say."""

    told: Told
    receipt: Receipt

    @property
    def caller(self) -> str:
        if not self.told.headers["content-type"].startswith("text/event-stream"):
            if self.told.status == 200:
                return "the answer"
            return f"{self.told.status} `{self.told.json['error']['code']}`"
        events = self.told.events
        if not self.told.is_whole:
            return "a cut connection"
        if events[-1] == "[DONE]" and "error" not in events[-2]:
            went_on = any(attempt.role == "continuation" for attempt in self.receipt.attempts)
            return "the whole stream, marked where another goes on" if went_on else "the whole stream"
        failed = next((event["error"] for event in events if isinstance(event, dict) and "error" in event), None)
        return "a stream that ends without its end" if failed is None else f"error event `{failed['code']}`"

    @property
    def attempts(self) -> str:
        names = [a.status if a.error is None else f"{a.error}{_status(a.http_status)}" for a in self.receipt.attempts]
        told: list[str] = []
        for name in dict.fromkeys(names):
            times = names.count(name)
            told.append(name if times == 1 else f"{times} x {name}")
        return f"{len(names)}: {', '.join(told)}"

    @property
    def booked(self) -> str:
        return f"{self.receipt.state}, {format_usd(self.receipt.cost_usd)} USD"


def _status(status: int | None) -> str:
    return "" if status is None else f" {status}"


async def run(folder: Path) -> dict[tuple[str, Mode, Help], Seen]:
    """By fault, mode and what help there was."""
    cases = {
        f"c{number}{mode}": (fault, mode)
        for number, fault in enumerate(faults())
        for mode in MODES
        if mode in fault.answers
    }
    async with upstream() as provider, _speaking_no_tls() as untrusted:

        def script(heard: Heard) -> Answer:
            case = cases.get(heard.json["model"].removesuffix("-alone").removesuffix("-going"))
            if case is not None:
                answer = next(fault for fault in faults() if fault.name == case[0].name).answers[case[1]]
                for piece in answer.pieces:
                    if isinstance(piece, _Soon):
                        asyncio.get_running_loop().call_later(_SOON_S, piece.set)
                return answer
            return stream(*chat_events("Hello")) if heard.json.get("stream") else chat("Hello")

        provider.script = script
        async with gateway(_document(cases, provider.url, untrusted), folder) as rig:

            async def see(case: str, mode: Mode, help_: Help) -> Seen:
                body = ask(model=_MODELS[help_].format(case), stream=mode != "whole")
                told = await rig.post("/v1/chat/completions", body, key=KEY)
                return Seen(told=told, receipt=await rig.receipt(told))

            keys = [(case, help_) for case in cases for help_ in helps(cases[case][1])]
            found = await asyncio.gather(*(see(case, cases[case][1], help_) for case, help_ in keys))
    return {(cases[case][0].name, cases[case][1], help_): seen for (case, help_), seen in zip(keys, found, strict=True)}


def _document(cases: Mapping[str, tuple[Fault, Mode]], url: str, untrusted: str) -> str:
    hasty = {"connect_s": 5, "first_token_s": 0.4, "between_tokens_s": 0.4, "total_s": 3}
    providers: dict[str, object] = {"well": _provider(f"{url}/v1")}
    models: dict[str, object] = {"spare": _model("well", "spare")}
    routes: dict[str, object] = {}
    for case, (fault, _) in cases.items():
        place = {"http": f"{url}/v1", "closed": "http://127.0.0.1:1/v1", "tls": untrusted}
        for suffix in ("", "-alone", "-going"):
            name = f"{case}{suffix}"
            providers[f"p-{name}"] = _provider(place[fault.place], **({"timeouts": hasty} if fault.is_hasty else {}))
            models[name] = _model(f"p-{name}", name)
        routes[f"route-{case}"] = {"primary": case, "fallback": "spare"}
        routes[f"going-{case}"] = {"primary": f"{case}-going", "fallback": "spare", "on_interrupt": "continue"}
    keys = [{"name": "ci", "key": {"env": "CI_KEY"}, "team": "platform", "user": "ci"}]
    document = {
        "server": {"auth": "keys"},
        "store": {"database": "sqlite:///books.db"},
        "providers": providers,
        "models": models,
        "routes": routes,
        "keys": keys,
    }
    return orjson.dumps(document).decode()  # JSON is YAML


@asynccontextmanager
async def _speaking_no_tls() -> AsyncIterator[str]:
    """The https address of a server that answers in plain text."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 X\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


def _provider(base_url: str, **more: object) -> dict[str, object]:
    return {"dialect": "openai", "base_url": base_url, "api_key": {"env": "PROVIDER_KEY"}, **more}


def _model(provider: str, name: str) -> dict[str, object]:
    return {"provider": provider, "model": name, "price": {"input": 2.50, "output": 10.00}}


_HEAD = """<!-- Made by `python -m tests.journeys.failover` from a real run; a test compares it with another. -->
# Failover

What each fault of a provider comes to: a gateway and a scripted provider on loopback. The faulty deployment is asked
first, at most twice (`max_tries: 2`). "Standing by" is the same request on a route whose fallback is well.

Once something of a stream was told, nobody else takes over unless the route says `on_interrupt: continue`: the caller
gets an error event in place of the end, and what was generated is booked, by estimate where the provider did not say.
With it, another deployment goes on with the text, and the stream says where. Before that, a stream that fails is as if
it had never begun. What is the request's own fault (400, 413) is told as the provider told it, and asked of
nobody else. Prices: 2.50 USD per million input tokens, 10.00 output; the healthy answer has 11 and 7. Times: what
hangs has 0.4 s to its first byte and between two pieces.
"""


def page(found: Mapping[tuple[str, Mode, Help], Seen]) -> str:
    lines = [_HEAD]
    for mode, title in MODES.items():
        lines += [f"\n## {title[0].upper()}{title[1:]}\n"]
        heads = [f"{_HEADS[help_]}: caller gets | attempts | books" for help_ in helps(mode)]
        lines += [f"| fault | {' | '.join(heads)} |", f"|{' --- |' * (1 + 3 * len(heads))}"]
        for fault in faults():
            if mode in fault.answers:
                all_seen = [found[fault.name, mode, help_] for help_ in helps(mode)]
                cells = [cell for seen in all_seen for cell in (seen.caller, seen.attempts, seen.booked)]
                lines.append(f"| {' | '.join((fault.name, *cells))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(asyncio.run(run(Path(folder)))))
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
