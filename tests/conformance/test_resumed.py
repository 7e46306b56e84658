"""An answer of two models, told at every door: each reads back as one, and says who went on."""

import orjson
import pytest

from polyroute.ports import Dialect
from polyroute.types.request import Request, ask
from polyroute.types.response import ChoiceEnded, Chunk, Ended, Resumed, Started, StopReason, TextDelta, Usage
from polyroute.wiring.dialects import DIALECTS

DOORS = [dialect for dialect in DIALECTS.values() if dialect.operation == "chat"]
TOLD: tuple[Chunk, ...] = (
    Started(id="s", model="first", created_s=1),
    TextDelta(text="Once upon "),
    Resumed(model="second", name="the\nsecond"),
    TextDelta(text="a time"),
    ChoiceEnded(stop=StopReason.END),
)
REPORT = {"model": "second", "continued_by": ["second"]}
COMMENT = b": polyroute: the second goes on\n\n"


@pytest.mark.parametrize("wants_usage", [True, False], ids=["usage", "no usage"])
@pytest.mark.parametrize("dialect", DOORS, ids=lambda dialect: dialect.name)
def test_an_answer_of_two_models_reads_as_one_and_names_the_second(dialect: Dialect, wants_usage: bool) -> None:
    asked = ask("route", "A story")
    request = Request(model="route", messages=asked.messages, stream=True, stream_usage=wants_usage)
    writer = dialect.open_writer(request)
    body = b"".join(map(writer.write, TOLD))
    body += writer.end(Ended(usage=Usage(input_tokens=3, output_tokens=4), model="second"), REPORT)
    if dialect.stream_type.startswith("text/event-stream"):
        assert body.count(COMMENT) == 1, "one line, whatever a model is called"
        assert body.index(b"Once upon") < body.index(COMMENT) < body.index(b"a time")
    assert b'"continued_by":["second"]' in body
    assert text_of(dialect, body) == "Once upon a time"


def text_of(dialect: Dialect, body: bytes) -> str:
    if dialect.stream_type.startswith("application/json"):
        candidates = [one["candidates"][0] for one in orjson.loads(body)]
        return "".join(part["text"] for candidate in candidates for part in candidate["content"]["parts"])
    if dialect.name == "openai_completions":
        events = [orjson.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
        return "".join(choice["text"] for event in events for choice in event["choices"])
    reader = dialect.open_reader(same_dialect=False)
    chunks = [*reader.feed(body), *reader.close()]
    assert isinstance(chunks[-1], Ended)
    assert len({chunk.part for chunk in chunks if isinstance(chunk, TextDelta)}) == 1
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextDelta))
