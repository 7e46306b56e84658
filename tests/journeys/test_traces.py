"""W3C trace context through a started gateway: in at the door, out to the provider, back to the caller."""

from pathlib import Path

from tests.journeys.rig import DOCUMENT, ask, gateway
from tests.journeys.upstream import Answer, Upstream, chat, upstream

CHAT = "/v1/chat/completions"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TOLD = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "congo=t61rcWkgMzE"}
ROUTE = "routes:\n  kept: {primary: gpt, fallback: claude}\n"


def spans(provider: Upstream) -> list[str]:
    """The span that each call named as its parent."""
    return [heard.headers["traceparent"].split("-")[2] for heard in provider.log]


async def test_the_provider_is_told_the_trace_under_a_span_of_its_attempt(tmp_path: Path) -> None:
    async with upstream() as provider, gateway(DOCUMENT.format(url=provider.url) + ROUTE, tmp_path) as rig:
        provider.answers(Answer(status=500, pieces=(b"{}",)), Answer(status=500, pieces=(b"{}",)))
        told = await rig.post(CHAT, ask(model="kept"), headers=TOLD)
        assert told.status == 502
        assert [heard.headers["tracestate"] for heard in provider.log] == ["congo=t61rcWkgMzE"] * 2
        assert all(heard.headers["traceparent"].startswith(f"00-{TRACE}-") for heard in provider.log)
        assert len({*spans(provider), PARENT}) == 3, "each attempt has a span of its own"


async def test_the_caller_learns_the_span_of_its_request(tmp_path: Path) -> None:
    async with upstream() as provider, gateway(DOCUMENT.format(url=provider.url), tmp_path) as rig:
        provider.answers(chat("ok"))
        told = await rig.post(CHAT, ask(), headers=TOLD)
        _, trace, span, flags = told.headers["traceparent"].split("-")
        assert (trace, flags) == (TRACE, "01")
        assert span not in (PARENT, *spans(provider))
        receipt = await rig.receipt(told)
        assert receipt.trace is not None
        assert (receipt.trace.trace_id, receipt.trace.parent_id) == (TRACE, PARENT)


async def test_a_context_of_no_form_reaches_nobody(tmp_path: Path) -> None:
    async with upstream() as provider, gateway(DOCUMENT.format(url=provider.url), tmp_path) as rig:
        provider.answers(chat("ok"))
        told = await rig.post(CHAT, ask(), headers={"traceparent": f"00-{TRACE}-{PARENT}", "tracestate": "a=1"})
        assert told.status == 200
        assert "traceparent" not in told.headers
        assert {"traceparent", "tracestate"}.isdisjoint(provider.last.headers)


async def test_a_state_of_no_form_is_left_out(tmp_path: Path) -> None:
    async with upstream() as provider, gateway(DOCUMENT.format(url=provider.url), tmp_path) as rig:
        provider.answers(chat("ok"))
        await rig.post(CHAT, ask(), headers={**TOLD, "tracestate": "x-api-key: stolen"})
        assert "traceparent" in provider.last.headers
        assert "tracestate" not in provider.last.headers
