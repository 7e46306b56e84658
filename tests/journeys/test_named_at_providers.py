"""What a provider keeps beside answers (containers, files, stores of files) opens only to whom it went out."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.rig import DOCUMENT, ENV, Rig, gateway
from tests.journeys.upstream import Upstream, event, message, message_events, stream, text_block, whole

OTHER = "pk-other-0123456789abcdef"
KEYS = '  - {name: other, key: "pk-other-0123456789abcdef", tenant: red, team: red, user: red}\n'
MADE: dict[str, Any] = {
    "id": "resp_1", "object": "response", "created_at": 1700000000, "status": "completed", "model": "gpt-up",
    "output": [{"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "status": "completed"}],
    "usage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18},
}  # fmt: skip
RAN = {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "1", "status": "completed"}
SAID = {"role": "user", "content": "x"}


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=provider.url).rstrip() + "\n" + KEYS, tmp_path, ENV) as running:
        yield running


def tool(**settings: object) -> dict[str, object]:
    return {"model": "gpt", "input": "x", "tools": [settings]}


def items(*given: object) -> dict[str, object]:
    return {"model": "gpt", "input": [SAID, *given]}


NAMED = [
    ("tools[0].container", tool(type="code_interpreter", container="cntr_1")),
    ("tools[0].container.file_ids[0]", tool(type="code_interpreter", container={"type": "auto", "file_ids": ["f"]})),
    ("tools[0].environment.container_id",
     tool(type="shell", environment={"type": "container_reference", "container_id": "cntr_1"})),
    ("tools[0].vector_store_ids[0]", tool(type="file_search", vector_store_ids=["vs_1"])),
    ("tools[0].input_image_mask.file_id", tool(type="image_generation", input_image_mask={"file_id": "f"})),
    ("input[1].container_id", items(RAN)),
    ("input[1].id", items({"type": "image_generation_call", "id": "ig_1"})),
    ("input[1].output.file_id",
     items({"type": "computer_call_output", "call_id": "c", "output": {"type": "screenshot", "file_id": "f"}})),
    ("prompt.variables.a.file_id",
     {"model": "gpt", "prompt": {"id": "p", "variables": {"a": {"type": "input_file", "file_id": "f"}}}}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "body"), NAMED, ids=[field for field, _ in NAMED])
async def test_what_never_went_out_to_its_tenant_is_not_named_to_a_provider(
    rig: Rig, provider: Upstream, field: str, body: dict[str, object]
) -> None:
    provider.script = lambda heard: whole(MADE)
    assert (await rig.post("/v1/responses", {"model": "gpt", "input": "x"})).status == 200  # cntr_1 is this caller's
    told = await rig.post("/v1/responses", body, key=OTHER)
    assert (told.status, told.json["error"]["param"], len(provider.log)) == (400, field, 1)
    assert "was not found" in told.json["error"]["message"]


@pytest.mark.parametrize("body", [NAMED[0][1], NAMED[5][1]], ids=["as a tool's", "as a call's"])
async def test_a_container_is_gone_on_with_by_whom_it_was_made_for(
    rig: Rig, provider: Upstream, body: dict[str, object]
) -> None:
    provider.script = lambda heard: whole(MADE)
    await rig.post("/v1/responses", {"model": "gpt", "input": "x"})
    assert (await rig.post("/v1/responses", body)).status == 200


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("named", ["container_1", {"id": "container_1", "skills": []}])
async def test_a_container_of_anthropics_is_its_tenants_alone(
    rig: Rig, provider: Upstream, streams: bool, named: object
) -> None:
    ran = {"id": "container_1", "expires_at": "2999-01-01T00:00:00Z"}
    if streams:
        *opening, _, stop = message_events("Hi")
        end = event("message_delta", delta={"stop_reason": "end_turn", "container": ran}, usage={"output_tokens": 7})
        provider.answers(stream(*opening, end, stop))
    else:
        provider.answers(whole({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [text_block("Hi")],
            "stop_reason": "end_turn", "usage": {"input_tokens": 11, "output_tokens": 7}, "container": ran,
        }))  # fmt: skip
    body = {"model": "claude", "max_tokens": 9, "messages": [SAID], "stream": streams}
    assert (await rig.post("/v1/messages", body)).status == 200
    assert (await rig.post("/v1/messages", {**body, "container": named})).status == 200
    told = await rig.post("/v1/messages", {**body, "container": named}, key=OTHER)
    assert (told.status, len(provider.log)) == (400, 2)
    assert "names `container_1`, which was not found" in told.json["error"]["message"]


async def test_a_file_is_not_put_into_a_container_by_a_strangers_id(rig: Rig, provider: Upstream) -> None:
    upload = {"role": "user", "content": [{"type": "container_upload", "file_id": "file_1"}]}
    told = await rig.post("/v1/messages", {"model": "claude", "max_tokens": 9, "messages": [upload]}, key=OTHER)
    assert (told.status, provider.log) == (400, [])


async def test_a_new_container_is_named_by_nobody(rig: Rig, provider: Upstream) -> None:
    provider.answers(message(text_block("Hi")))
    body = {"model": "claude", "max_tokens": 9, "messages": [SAID], "container": {"skills": []}}
    assert (await rig.post("/v1/messages", body, key=OTHER)).status == 200


GEMINI = [
    ("cachedContent", {"cachedContent": "cachedContents/1"}),
    ("tools.fileSearch.fileSearchStoreNames[0]", {"tools": [{"fileSearch": {"fileSearchStoreNames": ["stores/1"]}}]}),
    ("tools.file_search.file_search_store_names[0]",
     {"tools": [{"file_search": {"file_search_store_names": ["stores/1"]}}]}),
    ("tools.retrieval.vertexRagStore.ragResources[0].ragCorpus",
     {"tools": [{"retrieval": {"vertexRagStore": {"ragResources": [{"ragCorpus": "corpora/1"}]}}}]}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "more"), GEMINI, ids=[field for field, _ in GEMINI])
async def test_googles_stores_are_not_named_by_strangers(rig: Rig, field: str, more: dict[str, object]) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}], **more}
    told = await rig.post("/v1beta/models/gpt:generateContent", body, key=OTHER)
    error = told.json["error"]
    assert (told.status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert field.lower().replace("_", "") in error["message"].lower().replace("_", "")
