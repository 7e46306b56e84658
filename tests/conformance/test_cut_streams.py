"""A stream cut anywhere never ends well: every byte of a stream of each API, and through a gateway to every door.

A cut is told by an error in the door's own shape, once, and by nothing after it. Where all was said, and only an end
mark or a count was cut off, the answer is whole and says all.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.conformance.directions import (
    APIS,
    IN_KIND,
    MODELS,
    QUESTIONS,
    Case,
    ask,
    bytes_of,
    rows,
    running,
    said,
)
from tests.journeys.rig import Rig
from tests.journeys.upstream import Answer, Upstream

from polyroute.errors import ProviderError
from polyroute.types.response import Ended

_LONGEST = 4_000  # bytes: each of them is a place to cut at
_ERRORS = {  # how each door says in a stream that it failed
    "openai.chat": b'data: {"error":{',
    "openai.responses": b"event: error\n",
    "anthropic.messages": b"event: error\n",
    "gemini.generateContent": b'data: {"error":{',
    "bedrock.converse": b":exception-type",
}
_ENDS = {  # and that it is done
    "openai.chat": (b"[DONE]", b'"finish_reason":"'),
    "openai.responses": (b"response.completed", b"response.incomplete"),
    "anthropic.messages": (b"message_stop", b"message_delta"),
    "gemini.generateContent": (b'"finishReason"',),
    "bedrock.converse": (b"messageStop", b"metadata"),
}


def streams() -> list[Any]:
    """Of each API the shortest streams that say something and the one that says most kinds of things."""
    found = []
    for api, dialect in APIS.items():
        given = [(case, said(dialect, bytes_of(case), is_stream=True)) for case in rows(IN_KIND) if case["stream"]]
        whole = [(case, all_) for case, all_ in given if case["api"] == api and all_ is not None]
        whole = [(case, all_) for case, all_ in whole if len(bytes_of(case)) <= _LONGEST]
        whole.sort(key=lambda pair: (-sum(map(bool, pair[1].values())), len(bytes_of(pair[0]))))
        found += [pytest.param(case, id=case["id"]) for case, _ in whole[:4]]
    return found


@pytest.mark.parametrize("case", streams())
@pytest.mark.parametrize("same_dialect", [True, False], ids=["same", "across"])
def test_a_stream_cut_at_any_byte_fails_or_was_whole(case: Case, same_dialect: bool) -> None:
    dialect, raw = APIS[case["api"]], bytes_of(case)
    whole = said(dialect, raw, is_stream=True)
    assert whole is not None
    ended_well = 0
    for cut in range(len(raw)):
        reader = dialect.open_reader(same_dialect=same_dialect)
        try:
            chunks = [*reader.feed(raw[:cut]), *reader.close()]
        except ProviderError:
            continue
        ended_well += 1
        assert [isinstance(chunk, Ended) for chunk in chunks].index(True) == len(chunks) - 1
        if not same_dialect:
            assert (said(dialect, raw[:cut], is_stream=True) or {}) | {"usage": whole["usage"]} == whole
    assert ended_well < len(raw) / 4


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, Upstream]]:
    async with running(tmp_path_factory.mktemp("gateway")) as pair:
        yield pair


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("end", ["keep", "cut"], ids=["closed", "reset"])
@pytest.mark.parametrize("door", APIS)
@pytest.mark.parametrize("api", APIS)
async def test_a_cut_is_told_once_at_every_door(both: tuple[Rig, Upstream], api: str, door: str, end: str) -> None:
    rig, provider = both
    case = streams_of(api)
    raw = bytes_of(case)
    for cut in range(1, len(raw), max(1, len(raw) // 40)):
        if said(APIS[api], raw[:cut], is_stream=True) is not None:
            continue
        kind = case["response_headers"]["content-type"]
        provider.answers(Answer(pieces=(raw[:cut],), kind=kind, chunked=True, end=end))
        told = await ask(rig, door, MODELS[api], QUESTIONS[door], {**case, "request_headers": {}})
        if told.status != 200:  # nothing was said yet
            assert told.status == 502, told.body
            continue
        assert told.body.count(_ERRORS[door]) == 1, told.body[-600:]
        assert not any(mark in told.body for mark in _ENDS[door]), told.body[-600:]
        assert said(APIS[door], told.body, is_stream=True) is None


def streams_of(api: str) -> Case:
    """One that thinks, speaks and calls."""
    names = {
        "openai.chat": "vllm-stream",
        "openai.responses": "r-s-full",
        "anthropic.messages": "a-s-interleaved",
        "gemini.generateContent": "g-s-think",
        "bedrock.converse": "b-s-tools",
    }
    return next(case for case in rows(IN_KIND) if case["id"] == names[api])
