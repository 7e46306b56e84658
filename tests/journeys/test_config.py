"""The document over HTTP, and 100 changes of it under load: nothing fails, and each request sees one document only.

`POLYROUTE_RELOADS=1000` for the long form (`./dev soak reload`).
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from tests.journeys.rig import ADMIN, DOCUMENT, ENV, KEY, Rig, Told, ask, gateway
from tests.journeys.upstream import Upstream, chat, chat_events, stream

from polyroute.config.load import read
from polyroute.wiring.reload import Desk

RELOADS = int(os.environ.get("POLYROUTE_RELOADS", "100"))
CALLERS = 8
CHAT = "/v1/chat/completions"


@asynccontextmanager
async def configured(document: str, folder: Path) -> AsyncIterator[tuple[Rig, Desk]]:
    file = folder / "polyroute.yaml"
    file.write_text(document)
    async with gateway(document, folder) as rig:
        desk = Desk(rig.app, read(file, ENV), ENV, rig.built)
        await desk.begin()
        yield rig, desk


@pytest.fixture
async def at(provider: Upstream, tmp_path: Path) -> AsyncIterator[tuple[Rig, Desk]]:
    async with configured(DOCUMENT.format(url=provider.url), tmp_path) as made:
        yield made


async def put(rig: Rig, text: str, query: str = "", **headers: str) -> Told:
    return await rig.call("PUT", f"/admin/config{query}", text.encode(), key=ADMIN, headers=headers)


async def test_the_document_is_shown_with_its_secrets_as_they_are_named(at: tuple[Rig, Desk]) -> None:
    rig, _ = at
    told = await rig.get("/admin/config", key=ADMIN)
    assert told.status == 200
    assert told.json["policy"] == rig.app.services.policy
    assert "{env: PROVIDER_KEY}" in told.json["text"]
    assert ENV["PROVIDER_KEY"].encode() not in told.body


async def test_only_whoever_is_granted_it_reads_or_changes_it(at: tuple[Rig, Desk]) -> None:
    rig, _ = at
    assert (await rig.get("/admin/config", key=KEY)).status == 403
    assert (await rig.call("PUT", "/admin/config", b"{}", key=KEY)).status == 403
    made = (await rig.post("/admin/keys", {"role": "viewer"}, key=ADMIN)).json["key"]
    assert (await rig.get("/admin/config", key=made)).status == 200
    assert (await rig.call("PUT", "/admin/config", b"{}", key=made)).status == 403


async def test_a_document_is_checked_without_being_taken(at: tuple[Rig, Desk]) -> None:
    rig, desk = at
    text = desk.loaded.file.read_text() + "routes: {quick: {primary: gpt}}\n"
    told = await put(rig, text, "?check=true")
    assert (told.status, told.json["in_force"]) == (200, False)
    assert told.json["policy"] != rig.app.services.policy
    assert "quick" not in rig.app.services.path.routes.names


async def test_a_document_from_afar_reads_no_more_of_the_machine_than_the_one_in_force(at: tuple[Rig, Desk]) -> None:
    rig, desk = at
    (desk.loaded.folder / "passwd").write_text("root")
    text, policy = desk.loaded.file.read_text(), rig.app.services.policy
    for named in ("{env: POLYROUTE_ADMIN_KEY}", "{file: passwd}", "'${POLYROUTE_ADMIN_KEY}'"):
        for query in ("", "?check=true"):
            told = await put(rig, text.replace("{env: PROVIDER_KEY}", named), query)
            assert (told.status, "does not" in told.json["error"]["message"]) == (400, True), told.body
            assert ADMIN.encode() not in told.body
    assert rig.app.services.policy == policy


async def test_every_problem_of_a_document_is_told_at_once_and_nothing_changes(at: tuple[Rig, Desk]) -> None:
    rig, desk = at
    text = desk.loaded.file.read_text()
    wrong = text + "routes: {a: {primary: nobody}, b: {primry: gpt}}\n"
    told = await put(rig, wrong)
    assert told.status == 400
    assert {problem["path"] for problem in told.json["problems"]} == {"routes.a.primary", "routes.b.primry"}
    assert told.json["error"]["code"] == "invalid_document"
    assert desk.loaded.file.read_text() == text


async def test_a_document_is_put_found_in_the_history_and_taken_back(at: tuple[Rig, Desk]) -> None:
    rig, desk = at
    before, first = desk.loaded.file.read_text(), rig.app.services.policy
    told = await put(rig, before + "routes: {quick: {primary: gpt}}\n", **{"if-match": f'"{first}"'})
    assert (told.status, told.json["in_force"]) == (200, True)
    answered = await rig.post(CHAT, ask(model="quick"))
    assert answered.status == 200
    assert answered.headers["x-polyroute-policy"] == told.json["policy"]
    assert (await put(rig, before, **{"if-match": first})).status == 409
    history = (await rig.get("/admin/config/history", key=ADMIN)).json["data"]
    assert [entry["policy"] for entry in history] == [told.json["policy"], first]
    assert (await rig.get(f"/admin/config/history/{first}", key=ADMIN)).json["texts"] == {"polyroute.yaml": before}
    back = await rig.post("/admin/config/rollback", {"policy": first}, key=ADMIN)
    assert (back.status, back.json["policy"]) == (200, first)
    assert desk.loaded.file.read_text() == before
    assert (await rig.post(CHAT, ask(model="quick"))).status == 404
    acts = (await rig.get("/admin/audit-log", key=ADMIN)).json["data"]
    assert [act["action"] for act in acts] == ["config:start", "config:put", "config:rollback"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"\xff\xfe", 400, id="no text"),
        pytest.param(b'{"text": 5}', 400, id="text that is none"),
        pytest.param(b"a: [", 400, id="no YAML"),
        pytest.param(b"- a", 400, id="no document"),
    ],
)
async def test_what_is_no_document_is_the_callers_fault(at: tuple[Rig, Desk], body: bytes, status: int) -> None:
    rig, _ = at
    assert (await rig.call("PUT", "/admin/config", body, key=ADMIN)).status == status


async def test_a_document_may_stand_in_json(at: tuple[Rig, Desk]) -> None:
    rig, desk = at
    text = desk.loaded.file.read_text()
    told = await rig.call("PUT", "/admin/config", b'{"text": %s}' % _json(text), key=ADMIN)
    assert (told.status, told.json["policy"]) == (200, rig.app.services.policy)


async def test_a_hundred_changes_under_load_fail_nobody_and_each_request_sees_one_document(
    provider: Upstream, tmp_path: Path
) -> None:
    """Documents name their number as the model at the provider, which repeats it: policy and answer must agree."""
    whole = DOCUMENT.format(url=provider.url)

    def numbered(number: int) -> str:
        return whole.replace("gpt-up", f"up-{number}")

    provider.script = lambda heard: (
        stream(*chat_events("ok", model=heard.json["model"]))
        if heard.json.get("stream")
        else chat("ok", model=heard.json["model"])
    )
    async with configured(numbered(0), tmp_path) as (rig, desk):
        policies = {rig.app.services.policy: "up-0"}
        seen, over = list[Told](), asyncio.Event()

        async def caller(number: int) -> None:
            for turn in count():
                if over.is_set():
                    return
                seen.append(await rig.post(CHAT, ask(stream=(turn + number) % 2 == 0)))

        async def changes() -> None:
            for number in range(1, RELOADS + 1):
                good, bad = numbered(number), numbered(number).replace("model: up", "modle: up")
                match number % 10:
                    case 0:
                        assert (await put(rig, bad)).status == 400
                    case 5:
                        desk.loaded.file.write_text(bad)
                        await desk.look()
                        assert rig.app.services.policy in policies
                    case even if even % 2 == 0:
                        desk.loaded.file.write_text(good)
                        await desk.look(asked=True)
                        policies[rig.app.services.policy] = f"up-{number}"
                    case _:
                        policy = await desk.check(good)
                        policies[policy] = f"up-{number}"
                        assert (await put(rig, good)).json["policy"] == policy
            over.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(changes())
            for number in range(CALLERS):
                group.create_task(caller(number))
    assert Counter((told.status, told.is_whole) for told in seen) == {(200, True): len(seen)}
    assert len(seen) > RELOADS
    for told in seen:
        answered = {event["model"] for event in told.events if event != "[DONE]"} or {told.json["model"]}
        assert answered == {policies[told.headers["x-polyroute-policy"]]}


def _json(text: str) -> bytes:
    return ('"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"').encode()
