import json
from typing import Any

import pytest
from msgspec import ValidationError, convert
from msgspec.structs import replace

from polyroute.errors import Overloaded, ProviderTimeout, StreamInterrupted
from polyroute.providers.simulated import FINGERPRINT, Simulated, SimulatedModel
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.content import Message, Text, ToolCall
from polyroute.types.request import OutputFormat, Request, Tool, ToolChoice, ask
from polyroute.types.response import Choice, ChoiceEnded, Chunk, Ended, Started, StopReason, TextDelta, ToolCallDelta

TARGET = a_deployment("small")
DEADLINES = Deadlines(first_token_s=10, between_tokens_s=2, total_s=60)
WEATHER = Tool(
    name="weather",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


class Slept(list[float]):
    """A sleeper that only notes."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def simulated(seed: int = 0, sleep: Slept | None = None, **options: Any) -> Simulated:
    model = convert(options, SimulatedModel)
    return Simulated(
        models={TARGET.id: model}, seed=seed, sleep=sleep if sleep is not None else Slept(), utc_s=lambda: 7.0
    )


async def answer(provider: Simulated, request: Request, limit: int | None = None) -> Choice:
    reply = await provider.complete(request, TARGET, DEADLINES, limit)
    assert reply.response is not None
    return reply.response.choices[0]


async def streamed(provider: Simulated, request: Request, limit: int | None = None) -> list[Chunk]:
    return [chunk async for chunk in provider.stream(request, TARGET, DEADLINES, limit)]


async def test_every_answer_says_that_it_is_simulated() -> None:
    reply = await simulated().complete(ask("any", "hello"), TARGET, DEADLINES, None)
    assert reply.response is not None
    assert (reply.response.system_fingerprint, reply.response.model) == (FINGERPRINT, "small")
    assert "simulated" in reply.response.text
    assert reply.response.created_s == 7


async def test_echo_repeats_the_newest_user_text() -> None:
    request = Request(
        model="any",
        messages=tuple(
            Message(role="user" if at != 1 else "assistant", parts=(Text(text=text),))
            for at, text in enumerate(["first", "second", "third time"])
        ),
    )
    assert (await answer(simulated(answer="echo"), request)).text == "third time"


async def test_an_answer_is_given_word_by_word() -> None:
    assert (await answer(simulated(answer="as I was told"), ask("any", "x"))).text == "as I was told"


async def test_an_output_token_is_a_word() -> None:
    reply = await simulated(answer="one two three").complete(ask("any", "x"), TARGET, DEADLINES, None)
    assert reply.usage is not None
    assert (reply.usage.output_tokens, reply.usage.estimated) == (3, False)
    assert reply.usage.input_tokens > 0


@pytest.mark.parametrize(("asked", "allowed"), [(2, None), (None, 2), (2, 5), (5, 2)])
async def test_the_lower_limit_cuts_the_answer(asked: int | None, allowed: int | None) -> None:
    request = ask("any", "x", max_output_tokens=asked)
    choice = await answer(simulated(answer="one two three"), request, allowed)
    assert (choice.text, choice.stop) == ("one two ", StopReason.MAX_TOKENS)
    chunks = await streamed(simulated(answer="one two three"), request, allowed)
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, TextDelta)) == "one two "


async def test_a_stop_sequence_ends_the_answer() -> None:
    request = Request(model="any", messages=ask("any", "x").messages, stop=("three",))
    choice = await answer(simulated(answer="one two three"), request)
    assert (choice.text, choice.stop, choice.stop_sequence) == ("one two ", StopReason.STOP_SEQUENCE, "three")


async def test_a_stream_is_the_answer_in_words() -> None:
    chunks = await streamed(simulated(answer="one two"), ask("any", "x"))
    assert isinstance(chunks[0], Started)
    assert chunks[1:4] == [TextDelta(text="one "), TextDelta(text="two"), ChoiceEnded(stop=StopReason.END)]
    assert isinstance(chunks[4], Ended)
    assert chunks[4].usage is not None
    assert chunks[4].usage.output_tokens == 2


async def test_n_answers_are_given_and_counted() -> None:
    request = Request(model="any", messages=ask("any", "x").messages, n=3)
    reply = await simulated(answer="one two").complete(request, TARGET, DEADLINES, None)
    assert reply.response is not None
    assert reply.usage is not None
    assert [(choice.index, choice.text) for choice in reply.response.choices] == [(at, "one two") for at in range(3)]
    assert reply.usage.output_tokens == 6
    chunks = await streamed(simulated(answer="one two"), request)
    assert [chunk.choice for chunk in chunks if isinstance(chunk, ChoiceEnded)] == [0, 1, 2]


@pytest.mark.parametrize("choice", [ToolChoice(mode="required"), ToolChoice(mode="named", name="weather")])
async def test_a_required_tool_is_called_with_arguments_that_fit(choice: ToolChoice) -> None:
    request = Request(model="any", messages=ask("any", "x").messages, tools=(WEATHER,), tool_choice=choice)
    said = await answer(simulated(answer="echo"), request)
    assert said.stop is StopReason.TOOL_CALLS
    (call,) = said.parts
    assert isinstance(call, ToolCall)
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "simulated"})
    chunks = await streamed(simulated(answer="echo"), request)
    assert "".join(chunk.arguments for chunk in chunks if isinstance(chunk, ToolCallDelta)) == call.arguments


@pytest.mark.parametrize("choice", [None, ToolChoice(mode="auto"), ToolChoice(mode="none")])
async def test_no_tool_is_called_unasked(choice: ToolChoice | None) -> None:
    request = Request(model="any", messages=ask("any", "hi").messages, tools=(WEATHER,), tool_choice=choice)
    assert (await answer(simulated(answer="echo"), request)).text == "hi"


@pytest.mark.parametrize(
    ("options", "asked", "expected"),
    [
        pytest.param({}, "x", {"n": 0}, id="no answer given"),
        pytest.param({"answer": "echo"}, "x", {"n": 0}, id="an echo that is no JSON"),
        pytest.param({"answer": "echo"}, '{"n": 9}', {"n": 9}, id="an echo that is"),
        pytest.param({"answer": '{"n": 5}'}, "x", {"n": 5}, id="a given answer stands"),
    ],
)
async def test_structured_output_fits_its_schema(options: dict[str, Any], asked: str, expected: dict[str, int]) -> None:
    schema: dict[str, object] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    request = Request(model="any", messages=ask("any", asked).messages, output=OutputFormat(schema=schema))
    assert json.loads((await answer(simulated(**options), request)).text) == expected


async def test_json_without_a_schema_is_an_object() -> None:
    request = Request(model="any", messages=ask("any", "hi").messages, output=OutputFormat())
    assert json.loads((await answer(simulated(answer="echo"), request)).text) == {"answer": "hi"}


async def test_latency_and_speed_are_slept() -> None:
    slept = Slept()
    await answer(simulated(sleep=slept, latency_ms=500, tokens_per_s=4, answer="one two three"), ask("any", "x"))
    assert slept == [0.5, 0.75]
    slept.clear()
    await streamed(simulated(sleep=slept, latency_ms=500, tokens_per_s=4, answer="one two three"), ask("any", "x"))
    assert slept == [0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("options", "phase", "slept_s"),
    [
        ({"latency_ms": 20_000}, "first_token", 10),
        ({"fail": "timeout"}, "first_token", 10),
        ({"tokens_per_s": 0.25}, "between_tokens", 2),
        ({"latency_ms": 9_000, "tokens_per_s": 0.5, "answer": "word " * 100}, "total", 60),
    ],
)
async def test_deadlines_hold_for_simulated_models_too(options: dict[str, Any], phase: str, slept_s: float) -> None:
    slept = Slept()
    with pytest.raises(ProviderTimeout) as caught:
        await streamed(simulated(sleep=slept, **options), ask("any", "x"))
    assert caught.value.phase == phase
    assert sum(slept) == pytest.approx(slept_s)


async def test_errors_come_at_their_rate_and_the_same_for_a_seed() -> None:
    async def failures(seed: int) -> list[int]:
        provider, failed = simulated(seed=seed, error_rate=0.3), []
        for number in range(300):
            try:
                await answer(provider, ask("any", "x"))
            except Overloaded:
                failed.append(number)
        return failed

    first = await failures(1)
    assert first == await failures(1)
    assert first != await failures(2)
    assert 60 < len(first) < 120


async def test_poor_answers_come_at_their_rate() -> None:
    provider = simulated(quality=0.8)
    poor = [("poor" in (await answer(provider, ask("any", "x"))).text) for _ in range(300)]
    assert 30 < sum(poor) < 90


async def test_it_fails_so_many_times_and_recovers() -> None:
    provider = simulated(fail="rate_limit", fail_times=2)
    for _ in range(2):
        with pytest.raises(Overloaded) as caught:
            await answer(provider, ask("any", "x"))
        assert caught.value.retry_after_s == 1.0
    assert (await answer(provider, ask("any", "x"))).text


async def test_an_interrupted_stream_breaks_half_way() -> None:
    provider = simulated(fail="interrupted", answer="one two three four")
    stream = provider.stream(ask("any", "x"), TARGET, DEADLINES, None)
    assert isinstance(await anext(stream), Started)
    assert [await anext(stream) for _ in range(2)] == [TextDelta(text="one "), TextDelta(text="two ")]
    with pytest.raises(StreamInterrupted):
        await anext(stream)


async def test_a_deployment_nobody_described_answers_at_once() -> None:
    other: Deployment = a_deployment("other")
    slept = Slept()
    reply = await simulated(sleep=slept, latency_ms=100).complete(ask("any", "x"), other, DEADLINES, None)
    assert reply.model == "other"
    assert not slept


@pytest.mark.parametrize(
    "options", [{"latency_ms": -1}, {"error_rate": 1.5}, {"tokens_per_s": 0}, {"fail": "maybe"}, {"latency": 1}]
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        simulated(**options)


HARD: dict[str, Any] = {"by_difficulty": {"complex": {"quality": 0.5, "output_tokens": 40}}}


def difficult(prompt: str, difficulty: str = "complex") -> Request:
    return replace(ask("any", prompt), metadata={"difficulty": difficulty})


async def test_difficulty_sets_how_long_an_answer_is() -> None:
    reply = await simulated(**HARD).complete(difficult("x"), TARGET, DEADLINES, None)
    assert reply.usage is not None
    assert reply.usage.output_tokens == 40


async def test_difficulty_sets_the_share_of_good_answers_and_a_prompt_decides_its_own() -> None:
    prompts = [f"prompt {number}" for number in range(200)]
    first = [(await answer(simulated(seed=1, **HARD), difficult(prompt))).text for prompt in prompts]
    second = [(await answer(simulated(seed=2, **HARD), difficult(prompt))).text for prompt in prompts]
    assert first == second
    assert 80 < sum(text.startswith("This is a poor") for text in first) < 120


async def test_any_other_difficulty_leaves_the_model_as_it_is() -> None:
    assert (await answer(simulated(**HARD), difficult("x", "simple"))).text == (
        await answer(simulated(), ask("any", "x"))
    ).text
