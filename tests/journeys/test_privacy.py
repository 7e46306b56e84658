"""Personal data at a running gateway: what upstreams are sent, what callers get back, and what is kept of it."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import DOCUMENT, Rig, ask, ask_claude, gateway
from tests.journeys.upstream import Upstream, chat, chunk, failing, message, stream, text_block

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
EMAIL, CARD = "ann.lee@example.com", "4111 1111 1111 1111"
WORDS = f"I am {EMAIL}, my card is {CARD}. Write to {EMAIL}."
HIDDEN = "I am [EMAIL_1], my card is [CARD_1]. Write to [EMAIL_1]."
ROUTES = """
routes:
  plain: {{primary: gpt}}
  hidden: {{primary: gpt, fallback: claude, privacy: {{on_pii: redact}}}}
  hidden-claude: {{primary: claude, privacy: {{on_pii: redact}}}}
  kept: {{primary: gpt, fallback: [claude, own], privacy: {{detect: [email, card]}}}}
  kept-nowhere: {{primary: gpt, fallback: claude, privacy: {{detect: all, on_pii: private}}}}
  strict: {{primary: gpt, privacy: {{detect: [email, secret], on_pii: refuse}}}}
  told: {{primary: gpt, privacy: {{on_pii: allow}}}}
"""


@asynccontextmanager
async def serving(provider: Upstream, folder: Path, more: str = "") -> AsyncIterator[Rig]:
    document = DOCUMENT.replace(
        "models:\n",
        '  own: {{dialect: openai, base_url: "{url}/own/v1", private: true, max_tries: 1}}\nmodels:\n'
        "  own: {{provider: own, model: llama, price: free}}\n",
    )
    async with gateway((document.rstrip() + ROUTES + more).format(url=provider.url), folder) as rig:
        yield rig


async def test_placeholders_go_out_and_values_come_back(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.answers(chat("Dear [EMAIL_1], your card [CARD_1] and [CARD_2] too."))
        told = await rig.post(CHAT, {**ask(WORDS, "hidden"), "user": EMAIL, "made_up": {"of": [EMAIL]}})
        assert told.status == 200, told.body
        receipt = await rig.receipt(told)
    sent = provider.last.json
    assert sent["messages"] == [{"role": "user", "content": HIDDEN}]
    assert EMAIL.encode() not in provider.last.body
    assert sent["made_up"] == {"of": ["[EMAIL_1]"]}  # what Polyroute does not know passes, without the value
    answer = told.json["choices"][0]["message"]["content"]
    assert answer == f"Dear {EMAIL}, your card {CARD} and [CARD_2] too."
    assert (receipt.pii, receipt.pii_handling) == ({"email": 1, "card": 1}, ("redact",))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_a_placeholder_in_pieces_of_a_stream_is_put_back(provider: Upstream, tmp_path: Path, size: int) -> None:
    words = "To [EMAIL_1] [and] [EMAIL_1][CARD_1], [EMAIL"
    pieces = [words[at : at + size] for at in range(0, len(words), size)]
    async with serving(provider, tmp_path) as rig:
        provider.answers(stream(*(chunk({"content": piece}) for piece in pieces), chunk({}, "stop")))
        told = await rig.post(CHAT, {**ask(WORDS, "hidden"), "stream": True})
        assert told.status == 200, told.body
    said = "".join(
        choice["delta"].get("content") or ""
        for event in told.events
        if event != "[DONE]"
        for choice in event["choices"]
    )
    assert said == f"To {EMAIL} [and] {EMAIL}{CARD}, [EMAIL"
    assert EMAIL.encode() not in provider.last.body
    assert told.events[-1] == "[DONE]"


async def test_the_arguments_of_a_tool_call_get_their_values(provider: Upstream, tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "mail", "arguments": '{"to": "[EMAIL_1]"}'}}
    async with serving(provider, tmp_path) as rig:
        provider.answers(chat(None, tool_calls=[call]))
        told = await rig.post(CHAT, ask(WORDS, "hidden"))
        assert told.status == 200, told.body
        made = told.json["choices"][0]["message"]["tool_calls"][0]
        assert orjson.loads(made["function"]["arguments"]) == {"to": EMAIL}
        provider.answers(chat("sent"))
        body = ask(WORDS, "hidden")
        assert isinstance(body["messages"], list)
        body["messages"] += [
            {"role": "assistant", "content": None, "tool_calls": [made]},
            {"role": "tool", "tool_call_id": "c1", "content": f"sent to {EMAIL} and bob@example.org"},
        ]
        await rig.post(CHAT, body)
    sent = provider.last.json["messages"]
    assert orjson.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == {"to": "[EMAIL_1]"}
    assert sent[2]["content"] == "sent to [EMAIL_1] and [EMAIL_2]"


async def test_every_door_and_dialect(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.answers(message(text_block("Hello [EMAIL_1]")))
        told = await rig.post(MESSAGES, {**ask_claude(WORDS, "hidden-claude"), "system": f"Of {EMAIL}"})
        assert told.json["content"][0]["text"] == f"Hello {EMAIL}"
        assert provider.last.json["system"] == "Of [EMAIL_1]"
        told = await rig.post(CHAT, ask(WORDS, "hidden-claude"))  # across dialects
        assert told.json["choices"][0]["message"]["content"] == f"Hello {EMAIL}"
        told = await rig.post(RESPONSES, {"model": "hidden-claude", "input": WORDS, "instructions": f"For {EMAIL}"})
        assert told.status == 200, told.body
        assert f"Hello {EMAIL}".encode() in told.body
        told = await rig.post("/v1/execute", {"task": "hidden-claude", "input": WORDS})
        assert told.json["output"] == f"Hello {EMAIL}"
        body = {"contents": [{"role": "user", "parts": [{"text": WORDS}]}]}
        told = await rig.post("/v1beta/models/hidden-claude:generateContent", body)
        assert f"Hello {EMAIL}".encode() in told.body, told.body
    assert all(EMAIL.encode() not in heard.body and CARD.encode() not in heard.body for heard in provider.log)
    assert len(provider.log) == 5


async def test_a_flagged_prompt_reaches_private_models_only_and_in_fallback_too(
    provider: Upstream, tmp_path: Path
) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.answers(chat("ok"))
        told = await rig.post(CHAT, ask("Nothing of anybody's", "kept"))
        assert (told.status, provider.last.path) == (200, "/v1/chat/completions")
        told = await rig.post(CHAT, ask(WORDS, "kept"))
        receipt = await rig.receipt(told)
        assert [heard.path for heard in provider.log] == ["/v1/chat/completions", "/own/v1/chat/completions"]
        assert provider.last.json["messages"][0]["content"] == WORDS  # whole: it stays in one's own hands
        assert {e.model: e.reason for e in receipt.exclusions} == {
            "gpt": "not private: the request holds personal data (email, card)",
            "claude": "not private: the request holds personal data (email, card)",
        }
        assert receipt.pii_handling == ("private",)
        refused = await rig.post(CHAT, ask(WORDS, "kept-nowhere"))
    assert (refused.status, refused.json["error"]["code"]) == (503, "no_candidate")
    assert "personal data (email, card)" in refused.json["error"]["message"]
    assert EMAIL not in refused.body.decode()
    assert len(provider.log) == 2


async def test_a_refusal_names_kinds_and_field_and_never_the_value(provider: Upstream, tmp_path: Path) -> None:
    body = ask("Hello", "strict")
    assert isinstance(body["messages"], list)
    body["messages"].append({"role": "user", "content": [{"type": "text", "text": f"{EMAIL} sk-{'a1' * 12}"}]})
    async with serving(provider, tmp_path) as rig:
        told = await rig.post(CHAT, body)
    error = told.json["error"]
    assert (told.status, error["param"], error["code"]) == (400, "messages[1].content[0].text", "personal_data")
    assert "email, secret" in error["message"]
    assert EMAIL not in error["message"]
    assert provider.log == []


async def test_what_is_allowed_is_counted(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        told = await rig.post(CHAT, ask(WORDS, "told"))
        receipt = await rig.receipt(told)
    assert provider.last.json["messages"][0]["content"] == WORDS
    assert (receipt.pii, receipt.pii_handling) == ({"email": 1, "card": 1}, ())


async def test_no_log_receipt_or_error_holds_a_value(
    provider: Upstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(provider, tmp_path) as rig:
        provider.answers(failing(400, f"your text {EMAIL} is not liked"))
        told = await rig.post(CHAT, ask(WORDS + " Analyze why " + EMAIL, "told"))
        assert told.status == 400
        receipt = await rig.receipt(told)
    assert EMAIL not in told.body.decode()
    assert EMAIL not in str(receipt)
    assert EMAIL not in caplog.text


async def test_the_documents_rule_holds_where_a_route_says_nothing(provider: Upstream, tmp_path: Path) -> None:
    more = "\nprivacy: {{detect: [email], on_pii: redact}}\n"
    async with serving(provider, tmp_path, more) as rig:
        for model in ("plain", "gpt", "oai/gpt-up"):
            await rig.post(CHAT, ask(WORDS, model))
            assert provider.last.json["messages"][0]["content"].startswith("I am [EMAIL_1], my card is 4111")
        await rig.post("/v1/execute", {"models": ["gpt"], "strategy": "fixed", "input": WORDS})
        assert EMAIL.encode() not in provider.last.body
        await rig.post(CHAT, ask(WORDS, "told"))
        assert EMAIL.encode() in provider.last.body


async def test_an_answer_to_other_operations_is_asked_without_values(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        await rig.post("/v1/embeddings", {"model": "hidden", "input": [WORDS, "plain"]})
    assert provider.last.json["input"] == [HIDDEN, "plain"]
