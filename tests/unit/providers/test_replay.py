import gzip
import json
from pathlib import Path

import pytest

from polyroute.errors import ConfigError, Rejected, Remedy
from polyroute.providers.replay import Replay
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.content import Message, Text
from polyroute.types.request import Request, ask
from polyroute.types.response import Reply, StopReason, TextDelta

TARGET = a_deployment("big")
ROWS: list[dict[str, object]] = [
    {"prompt": "Which river?", "responses": {"big": "The Danube.", "small": "No idea."}},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Which river?"}]},
        ],
        "responses": {"big": "Danube"},
        "usage": {"big": {"input_tokens": 20, "output_tokens": 2, "reasoning_tokens": 1}},
    },
    {"prompt": "Which sea?", "responses": {"big": "Black."},
     "usage": {"big": {"prompt_tokens": 9, "completion_tokens": 3}}},
    {"id": "r1", "prompt": "Which town?", "scores": {"big": 1.0}, "responses": {"big": "Ulm, on the Danube."},
     "input_tokens": 11, "output_tokens": {"big": 6}},
    {"id": "r2", "prompt": "Never answered", "scores": {"big": 0.0}},
]  # fmt: skip


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    rows = tmp_path / "traffic.jsonl"
    rows.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    return Replay(recordings=rows)


async def reply_to(replay: Replay, request: Request, target: Deployment = TARGET, limit: int | None = None) -> Reply:
    return await replay.complete(request, target, Deadlines(), limit)


def text_of(reply: Reply) -> str:
    assert reply.response is not None
    return reply.response.text


async def test_a_prompt_is_found_by_its_newest_user_text(replay: Replay) -> None:
    assert text_of(await reply_to(replay, ask("any", "Which river?"))) == "The Danube."
    assert text_of(await reply_to(replay, ask("any", "Which river?", system="Sing."))) == "The Danube."
    assert text_of(await reply_to(replay, ask("any", "Which river?"), a_deployment("small"))) == "No idea."


@pytest.mark.parametrize("role", ["system", "developer"])
async def test_a_whole_conversation_goes_before_its_newest_text(replay: Replay, role: str) -> None:
    request = ask("any", "Which river?", system="Be brief.")
    first = Message(role="developer" if role == "developer" else "system", parts=(Text(text="Be brief."),))
    request = Request(model="any", messages=(first, *request.messages[1:]))
    assert text_of(await reply_to(replay, request)) == "Danube"


@pytest.mark.parametrize(
    ("prompt", "system", "usage"),
    [
        pytest.param("Which river?", "Be brief.", (20, 2, 1, False), id="as recorded"),
        pytest.param("Which sea?", None, (9, 3, 0, False), id="by OpenAI's names"),
        pytest.param("Which town?", None, (11, 6, 0, False), id="as labelled rows have it"),
    ],
)
async def test_recorded_usage_is_told(
    replay: Replay, prompt: str, system: str | None, usage: tuple[int, int, int, bool]
) -> None:
    told = (await reply_to(replay, ask("any", prompt, system=system))).usage
    assert told is not None
    assert (told.input_tokens, told.output_tokens, told.reasoning_tokens, told.estimated) == usage


async def test_usage_that_was_not_recorded_is_an_estimate_and_says_so(replay: Replay) -> None:
    told = (await reply_to(replay, ask("any", "Which river?"))).usage
    assert told is not None
    assert told.estimated
    assert told.input_tokens > 0
    assert told.output_tokens > 0


@pytest.mark.parametrize(
    ("prompt", "model"), [("Which mountain?", "big"), ("Which sea?", "small"), ("Never answered", "big")]
)
async def test_what_was_not_recorded_is_a_404_that_another_model_may_cure(
    replay: Replay, prompt: str, model: str
) -> None:
    with pytest.raises(Rejected) as caught:
        await reply_to(replay, ask("any", prompt), a_deployment(model))
    assert (caught.value.http_status, caught.value.remedy) == (404, Remedy.SWITCH)


async def test_a_stream_is_the_recorded_text_in_words(replay: Replay) -> None:
    chunks = [chunk async for chunk in replay.stream(ask("any", "Which town?"), TARGET, Deadlines(), None)]
    said = [chunk.text for chunk in chunks if isinstance(chunk, TextDelta)]
    assert said == ["Ulm, ", "on ", "the ", "Danube."]


async def test_a_limit_cuts_the_recording(replay: Replay) -> None:
    reply = await reply_to(replay, ask("any", "Which town?"), limit=3)
    assert (text_of(reply), reply.stop) == ("Ulm, on ", StopReason.MAX_TOKENS)
    assert reply.usage is not None
    assert reply.usage.output_tokens == 3


async def test_a_packed_file_is_read_too(tmp_path: Path) -> None:
    rows = tmp_path / "traffic.jsonl.gz"
    rows.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in ROWS).encode()))
    assert text_of(await reply_to(Replay(recordings=rows), ask("any", "Which river?"))) == "The Danube."


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not json", "malformed"),
        ('{"responses": {"big": "x"}}', "`prompt` or `messages`"),
        ('{"prompt": 7, "responses": {"big": "x"}}', "prompt"),
        ('{"prompt": "x", "responses": {"big": ["x"]}}', "responses"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, line: str, reason: str) -> None:
    rows = tmp_path / "traffic.jsonl"
    rows.write_text('{"prompt": "a", "responses": {"big": "b"}}\n' + line)
    with pytest.raises(ConfigError) as caught:
        Replay(recordings=rows)
    (problem,) = caught.value.problems
    assert problem.line == 2
    assert reason in problem.message


@pytest.mark.parametrize("name", ["missing.jsonl", "broken.gz"])
def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"{}" * 100)[:20])
    with pytest.raises(ConfigError, match="cannot be read"):
        Replay(recordings=tmp_path / name)
