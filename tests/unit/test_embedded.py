from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from polyroute.embedded import Gateway
from polyroute.errors import ConfigError, InvalidRequest, NoCandidate, UnknownModel
from polyroute.types.request import ask
from polyroute.types.response import Ended, Started

DOCUMENT = """
server: {auth: open}
providers: {sim: {dialect: simulated}}
models:
  small: {provider: sim, price: {input: 1, output: 2}, answer: ""}
  large: {provider: sim, price: {input: 10, output: 20}, answer: echo}
routes:
  auto: {primary: large}
  summarize: {primary: large, fallback: small}
"""


@asynccontextmanager
async def gateway(folder: Path, document: str = DOCUMENT) -> AsyncIterator[Gateway]:
    file = folder / "polyroute.yaml"
    file.write_text(document)
    async with Gateway(file, env={}) as opened:
        yield opened


async def test_the_articles_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as opened:
        told = await opened.execute(
            task="summarize", input="The meeting began.", strategy="cascade", models=["small", "large"]
        )
        assert (told.output, told.model) == ("The meeting began.", "large")
        assert [attempt["status"] for attempt in told.attempts] == ["rejected", "succeeded"]
        assert await opened.receipt(told.id) == told.receipt
        assert told.receipt.classification is not None
        assert told.receipt.classification.task == "summarize"
        assert told.receipt.caller.user == "python"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"models": "small"}, "models"),
        ({"models": [1]}, "models[0]"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"input": None}, "input"),
        ({"strategy": "magic", "models": ["small"]}, "strategy"),
        ({"gates": [{"use": "json"}]}, "models"),
    ],
)
async def test_a_wrong_argument_is_named(wrong: dict[str, Any], field: str, tmp_path: Path) -> None:
    async with gateway(tmp_path) as opened:
        with pytest.raises(InvalidRequest) as caught:
            await opened.execute(**{"input": "text", **wrong})
        assert caught.value.field == field


async def test_a_client_names_a_task_and_no_model(tmp_path: Path) -> None:
    async with gateway(tmp_path) as opened:
        client = opened.client("summarize")
        assert await client.complete("one two") == "one two"
        told = await client.ask("three")
        assert (told.text, told.receipt.route, told.receipt.requested_model) == ("three", "summarize", "summarize")
        assert "".join([text async for text in client.stream("four five")]) == "four five"
        other = await opened.client("translate").ask("six")
        assert other.receipt.route == "auto"
        assert other.receipt.classification is not None
        assert other.receipt.classification.task == "translate"


async def test_a_stream_that_is_left_is_settled(tmp_path: Path) -> None:
    async with gateway(tmp_path) as opened:
        async with aclosing(opened.stream(ask("large", "one two three"))) as chunks:
            assert isinstance(await anext(chunks), Started)
        assert isinstance([chunk async for chunk in opened.stream(ask("large", "one"))][-1], Ended)


async def test_the_dry_run_decides_and_calls_nobody(tmp_path: Path) -> None:
    async with gateway(tmp_path) as opened:
        assert (await opened.route(ask("summarize", "hello"))).plan == ("large@sim", "small@sim")
        with pytest.raises(UnknownModel):
            await opened.route(ask("nobody", "hello"))


async def test_it_opens_with_the_first_call_and_again_after_closing(tmp_path: Path) -> None:
    (tmp_path / "polyroute.yaml").write_text(DOCUMENT)
    opened = Gateway(tmp_path / "polyroute.yaml", env={})
    first = await opened.complete(ask("large", "one"))
    await opened.aclose()
    assert await opened.receipt(first.receipt.request_id) == first.receipt
    await opened.aclose()


async def test_a_document_that_is_wrong_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        async with gateway(tmp_path, "routes: {x: {primary: nobody}}"):
            raise AssertionError("it must not open")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["polyroute.yaml"]


async def test_a_capability_no_model_has_is_refused_with_its_reason(tmp_path: Path) -> None:
    document = DOCUMENT.replace("answer: echo", "answer: echo, context_tokens: 5")
    async with gateway(tmp_path, document) as opened:
        with pytest.raises(NoCandidate) as caught:
            await opened.complete(ask("large", "a question that is longer than five tokens in every count"))
        assert "context 5 < needed" in caught.value.message
