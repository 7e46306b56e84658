"""Legacy completions told from another dialect's answer."""

import orjson

from polyroute.dialects.openai_completions import OpenAICompletions
from polyroute.types.content import Text
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Ended,
    Response,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    Usage,
)

DIALECT = OpenAICompletions()
USAGE = Usage(input_tokens=3, output_tokens=2)
LOGPROBS = (
    TokenLogprob(token="a", logprob=-0.5, top=(TokenLogprob(token="b", logprob=-1.0),)),
    TokenLogprob(token="cd", logprob=-0.1),
)


def test_an_answer_is_a_text_with_its_logprobs() -> None:
    choice = Choice(parts=(Text(text="acd"),), stop=StopReason.MAX_TOKENS, logprobs=LOGPROBS)
    request = DIALECT.parse_request({"model": "m", "prompt": "x", "logprobs": 1}, {})
    told = orjson.loads(
        DIALECT.render_response(Response(id="i", model="m", choices=(choice,), usage=USAGE, created_s=1), request)
    )
    assert told["object"] == "text_completion"
    assert told["choices"] == [
        {
            "text": "acd", "index": 0, "finish_reason": "length",
            "logprobs": {
                "tokens": ["a", "cd"], "token_logprobs": [-0.5, -0.1], "top_logprobs": [{"b": -1.0}, {}],
                "text_offset": [0, 1],
            },
        }
    ]  # fmt: skip
    assert told["usage"]["total_tokens"] == 5


def test_a_stream_ends_with_its_finish_its_usage_where_asked_and_its_mark() -> None:
    body = {"model": "m", "prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
    writer = DIALECT.open_writer(DIALECT.parse_request(body, {}))
    chunks: tuple[Chunk, ...] = (
        Started(id="i", model="m"), ThinkingDelta(text="hm"), TextDelta(text="a"), TextDelta(text="b", choice=1),
        ChoiceEnded(stop=StopReason.END), ChoiceEnded(stop=StopReason.MAX_TOKENS, choice=1),
    )  # fmt: skip
    told = b"".join(map(writer.write, chunks)) + writer.end(Ended(usage=USAGE), {"cost_usd": "0"})
    *events, mark = [line[6:] for line in told.split(b"\n\n") if line]
    seen = [orjson.loads(event) for event in events]
    assert mark == b"[DONE]"
    assert [(c["index"], c["text"], c["finish_reason"]) for one in seen for c in one["choices"]] == [
        (0, "a", None), (1, "b", None), (0, "", "stop"), (1, "", "length"),
    ]  # fmt: skip
    assert seen[-1]["usage"]["prompt_tokens"] == 3
    assert seen[-1]["polyroute"] == {"cost_usd": "0"}


def test_a_time_may_have_a_fraction() -> None:
    body = orjson.dumps({"created": 1.5, "choices": [{"text": "a", "finish_reason": "eos"}]})
    assert DIALECT.parse_response(body).created_s == 1
