"""Six kinds of provider behind one request: each hears its own wire format, and the caller always sees one shape."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import gateway
from tests.journeys.upstream import Answer, Heard, Upstream, chat, message, text_block, whole

DOCUMENT = """
server: {{auth: open}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/openai/v1", api_key: {{env: KEY}}}}
  azure: {{dialect: openai, base_url: "{url}/azure/deployments/{{model}}?api-version=2024-10", api_key: {{env: KEY}}}}
  open: {{dialect: openai, base_url: "{url}/ollama/v1", private: true}}
  ant: {{dialect: anthropic, base_url: "{url}/anthropic", api_key: {{env: KEY}}}}
  goo: {{dialect: gemini, base_url: "{url}/google/v1beta", api_key: {{env: KEY}}}}
  aws:
    dialect: bedrock
    base_url: "{url}/aws"
    region: us-east-1
    credentials: {{access_key: {{env: KEY}}, secret_key: {{env: KEY}}}}
models: {{oai: oai/m-up, azure: azure/m-up, open: open/m-up, ant: ant/m-up, goo: goo/m-up, aws: aws/m-up}}
"""
PATHS = {
    "oai": "/openai/v1/chat/completions",
    "azure": "/azure/deployments/m-up/chat/completions",
    "open": "/ollama/v1/chat/completions",
    "ant": "/anthropic/v1/messages",
    "goo": "/google/v1beta/models/m-up:generateContent",
    "aws": "/aws/model/m-up/converse",
}
HOLDS = {"oai": "messages", "azure": "messages", "open": "messages", "ant": "max_tokens", "goo": "contents"}
CREDENTIALS = {"oai": "authorization", "ant": "x-api-key", "goo": "x-goog-api-key", "aws": "authorization"}


def native(model: str) -> Answer:
    match model:
        case "ant":
            return message(text_block("here"))
        case "goo":
            said = {"content": {"role": "model", "parts": [{"text": "here"}]}, "finishReason": "STOP", "index": 0}
            usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
            return whole({"candidates": [said], "usageMetadata": usage, "modelVersion": "served", "responseId": "g-1"})
        case "aws":
            said = {"message": {"role": "assistant", "content": [{"text": "here"}]}}
            usage = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
            return whole({"output": said, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}})
        case _:
            return chat("here")


@pytest.mark.parametrize("model", PATHS)
async def test_one_body_reaches_six_kinds_of_provider_and_its_answer_has_one_shape(
    provider: Upstream, tmp_path: Path, model: str
) -> None:
    def script(heard: Heard) -> Answer:
        return native(model)

    provider.script = script
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where are you?"}],
        "max_tokens": 50,
    }
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path, {"KEY": "sk-of-the-provider-4242"}) as rig:
        told = await rig.post("/v1/chat/completions", body, key=None)
    assert told.status == 200, told.body
    answer = told.json
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["choices"][0]["message"]["content"] == "here"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (11, 7)
    assert answer["id"]
    assert answer["model"]
    heard = provider.last
    assert heard.path.partition("?")[0] == PATHS[model]
    assert HOLDS.get(model, "inferenceConfig") in heard.json
    assert b"Where are you?" in heard.body
    assert b"Be brief." in heard.body
    if model in CREDENTIALS:
        assert heard.headers[CREDENTIALS[model]]
    assert orjson.dumps(PATHS[model]) not in told.body
