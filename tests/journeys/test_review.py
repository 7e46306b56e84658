"""A route that holds its answers: the caller waits or comes back, a person decides, and it is paid for once."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec import json
from msgspec.structs import replace
from tests.journeys.rig import ADMIN, Rig, Told, gateway
from tests.journeys.upstream import upstream
from typer.testing import CliRunner

from polyroute.cli.main import build
from polyroute.types.records import Act, Put
from polyroute.types.review import Review

DOCUMENT = """
server: {auth: keys}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated}}
models: {strong: {provider: sim, price: {input: 3, output: 15}, answer: echo}}
routes:
  legal_review: {primary: strong, require_human_review: true}
  lenient: {primary: strong, require_human_review: true, review: {deadline: 1h, on_deadline: approve}}
"""
ASKED = "May we sign this?"
CHAT = {"model": "legal_review", "messages": [{"role": "user", "content": ASKED}], "max_tokens": 50}


async def ask(rig: Rig, method: str, path: str, body: object = None, *, key: str = ADMIN, prefer: str = "") -> Told:
    data = b"" if body is None else orjson.dumps(body)
    headers = {"content-type": "application/json", "content-length": str(len(data))}
    return await rig.call(method, path, data, key=key, headers={**headers, "prefer": prefer} if prefer else headers)


async def key_of(rig: Rig, **order: object) -> str:
    found: str = (await ask(rig, "POST", "/admin/keys", order)).json["key"]
    return found


async def held(rig: Rig, key: str, path: str = "/v1/chat/completions", **fields: object) -> str:
    told = await ask(rig, "POST", path, {**CHAT, **fields}, key=key)
    assert told.status == 202, told.body
    assert told.json["status"] == "pending"
    assert told.headers["location"] == f"/v1/reviews/{told.json['id']}"
    assert ASKED.encode() not in told.body
    found: str = told.json["id"]
    return found


async def test_an_approved_answer_comes_in_the_doors_own_shape_and_was_paid_once(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as rig:
        key = await key_of(rig, name="app")
        review = await held(rig, key)
        spent = rig.receipts()[0].cost_usd
        assert spent > Decimal(0)
        pending = await ask(rig, "GET", f"/v1/reviews/{review}", key=key)
        assert (pending.status, pending.json["status"]) == (202, "pending")
        seen = (await ask(rig, "GET", "/admin/reviews?state=pending")).json["data"]
        assert [(r["id"], r["asked"], r["answer"]) for r in seen] == [(review, ASKED, ASKED)]
        assert (await ask(rig, "POST", f"/admin/reviews/{review}/approve", {})).status == 200
        told = await ask(rig, "GET", f"/v1/reviews/{review}", key=key)
        assert (told.status, told.headers["x-polyroute-review"]) == (200, "approved")
        assert told.json["choices"][0]["message"]["content"] == ASKED
        receipts = rig.receipts()
        assert [receipt.cost_usd for receipt in receipts] == [spent]
        receipt = (await ask(rig, "GET", f"/v1/receipts/{receipts[0].request_id}", key=key)).json
        assert receipt["review"] == "approved"


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/v1/chat/completions", lambda body: body["choices"][0]["message"]["content"]),
        ("/v1/messages", lambda body: body["content"][0]["text"]),
    ],
)
async def test_edited_words_take_the_answers_place_at_every_door(tmp_path: Path, path: str, read: Any) -> None:
    async with gateway(DOCUMENT, tmp_path) as rig:
        key = await key_of(rig, name="app")
        for stream in (False, True):  # a stream is held like any answer
            review = await held(rig, key, path, stream=stream)
            body = {"text": "Ask counsel first.", "reason": "too sure"}
            assert (await ask(rig, "POST", f"/admin/reviews/{review}/edit", body)).json["state"] == "edited"
            told = await ask(rig, "GET", f"/v1/reviews/{review}", key=key)
            assert (told.status, read(told.json)) == (200, "Ask counsel first.")


async def test_a_rejected_answer_never_leaves_and_says_why(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as rig:
        key = await key_of(rig, name="app")
        review = await held(rig, key)
        assert (await ask(rig, "POST", f"/admin/reviews/{review}/reject", {})).json["error"]["param"] == "reason"
        await ask(rig, "POST", f"/admin/reviews/{review}/reject", {"reason": "cites a repealed act"})
        told = await ask(rig, "GET", f"/v1/reviews/{review}", key=key)
        assert (told.status, "repealed act" in told.json["error"]["message"]) == (403, True)
        again = await ask(rig, "POST", f"/admin/reviews/{review}/approve", {})
        assert (again.status, "rejected already" in again.json["error"]["message"]) == (409, True)


async def test_who_waits_gets_the_answer_itself_once_it_is_approved(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as rig:
        key = await key_of(rig, name="app")
        waiting = asyncio.create_task(ask(rig, "POST", "/v1/chat/completions", CHAT, key=key, prefer="wait=20"))
        async with asyncio.timeout(10):
            while not (found := (await ask(rig, "GET", "/admin/reviews")).json["data"]):
                await asyncio.sleep(0.01)
        await ask(rig, "POST", f"/admin/reviews/{found[0]['id']}/approve", {})
        told = await waiting
        assert (told.status, told.json["choices"][0]["message"]["content"]) == (200, ASKED)


async def test_who_waits_in_vain_is_told_where_to_come_back(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as rig:
        told = await ask(rig, "POST", "/v1/chat/completions", CHAT, prefer="wait=1")
        assert (told.status, told.json["status"]) == (202, "pending")
        wrong = await ask(rig, "POST", "/v1/chat/completions", CHAT, prefer="wait=soon")
        assert (wrong.status, wrong.json["error"]["param"]) == (400, "prefer")


async def test_others_see_nothing_and_nobody_approves_the_own_answer(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as rig:
        asker = await key_of(rig, name="lead", team="red", role="team_admin")
        review = await held(rig, asker)
        own = await ask(rig, "POST", f"/admin/reviews/{review}/approve", {}, key=asker)
        assert (own.status, "asked for it" in own.json["error"]["message"]) == (403, True)
        member = await key_of(rig, name="bob", team="red", user="bob")
        stranger = await key_of(rig, name="eve", team="blue", role="team_admin")
        for key in (member, stranger):
            assert (await ask(rig, "GET", f"/v1/reviews/{review}", key=key)).status == 404
        assert (await ask(rig, "POST", f"/admin/reviews/{review}/approve", {}, key=member)).status == 403
        assert (await ask(rig, "POST", f"/admin/reviews/{review}/approve", {}, key=stranger)).status == 404
        other = await key_of(rig, name="ann", team="red", role="team_admin")
        assert (await ask(rig, "POST", f"/admin/reviews/{review}/approve", {}, key=other)).status == 200
        log = (await ask(rig, "GET", "/admin/audit-log")).json["data"]
        assert [entry["action"] for entry in log if entry["kind"] == "review"] == ["reviews:hold", "reviews:approve"]


@pytest.mark.parametrize(("route", "status"), [("legal_review", 410), ("lenient", 200)])
async def test_past_its_deadline_an_answer_becomes_what_its_route_says(tmp_path: Path, route: str, status: int) -> None:
    async with gateway(DOCUMENT, tmp_path) as rig:
        key = await key_of(rig, name="app")
        review = await held(rig, key, model=route)
        records = rig.built.services.records
        record = records.find("review", review)
        assert record is not None
        kept = json.decode(record.body, type=Review)
        late = replace(kept, expires_at=kept.created_at - timedelta(seconds=1))  # its time runs out
        put = Put(kind="review", id=review, tenant="default", body=json.encode(late), version=1)
        records.change([put], Act(at=kept.created_at, actor="t", role="admin", action="t", kind="review", id=review))
        assert (await ask(rig, "GET", f"/v1/reviews/{review}", key=key)).status == status
        assert (await ask(rig, "POST", f"/admin/reviews/{review}/approve", {})).status == 409


async def test_the_documents_webhook_hears_of_it_signed_and_without_a_word_of_it(tmp_path: Path) -> None:
    async with upstream() as listener:
        hooked = DOCUMENT.replace(
            "{primary: strong, require_human_review: true}",
            "{primary: strong, require_human_review: true,"
            f' review: {{webhook: {{url: "{listener.url}/hook", secret: {{env: CI_KEY}}}}}}}}',
        )
        async with gateway(hooked, tmp_path) as rig:
            key = await key_of(rig, name="app")
            review = await held(rig, key)
            await ask(rig, "POST", f"/admin/reviews/{review}/approve", {})
            async with asyncio.timeout(10):
                while len(listener.log) < 2:
                    await asyncio.sleep(0.01)
    assert [call.json["event"] for call in listener.log] == ["review.pending", "review.approved"]
    assert all("v1=" in call.headers["x-polyroute-signature"] for call in listener.log)
    assert not any(ASKED.encode() in call.body for call in listener.log)


async def test_the_call_without_a_wire_format_is_held_too(tmp_path: Path) -> None:
    async with gateway(DOCUMENT, tmp_path) as rig:
        told = await ask(rig, "POST", "/v1/execute", {"task": "legal_review", "input": ASKED})
        assert told.status == 202
        await ask(rig, "POST", f"/admin/reviews/{told.json['id']}/approve", {})
        answer = await ask(rig, "GET", f"/v1/reviews/{told.json['id']}")
        assert (answer.status, answer.json["output"]) == (200, ASKED)


async def test_from_the_command_line(tmp_path: Path) -> None:
    document = tmp_path / "polyroute.yaml"
    document.write_text(DOCUMENT)

    def told(*words: str) -> Any:
        done = CliRunner().invoke(build("review"), ["review", *words, "--json", "-c", str(document)])
        assert done.exit_code == 0, done.output
        return orjson.loads(done.stdout)

    async with gateway(DOCUMENT, tmp_path) as rig:
        key = await key_of(rig, name="app")
        review = await held(rig, key)
        assert [r["id"] for r in await asyncio.to_thread(told, "list")] == [review]
        assert (await asyncio.to_thread(told, "show", review))["answer"] == ASKED
        await asyncio.to_thread(told, "edit", review, "--text", "No.", "--reason", "legal")
        answer = await ask(rig, "GET", f"/v1/reviews/{review}", key=key)
        assert answer.json["choices"][0]["message"]["content"] == "No."
        assert (await asyncio.to_thread(told, "list", "--state", "edited"))[0]["reason"] == "legal"
