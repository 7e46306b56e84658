"""Images made of images: OpenAI's SDK uploads them, the provider gets what was uploaded, the books what was made."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from tests.journeys.rig import KEY, Rig, gateway
from tests.journeys.upstream import Upstream, failing, stream, whole

from polyroute.dialects.multipart import fields_of, read_form

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  sim: {{dialect: simulated}}
models:
  paint: {{provider: oai, model: paint-up, price: {{image: {{hd: 0.08, standard: 0.04}}}}, operations: [image]}}
  paint-tokens: {{provider: oai, model: paint-up-2, price: {{input: 5, output: 40}}, operations: [image]}}
  claude: {{provider: ant, model: claude-up, price: free}}
  sim: sim/sim
routes:
  drawn: {{primary: paint, fallback: paint-tokens}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}]
{more}
"""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
MADE = {"created": 1, "data": [{"b64_json": "eA=="}, {"b64_json": "eQ=="}]}
BOUNDARY = "polyroute"


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    provider.answers(whole(MADE))
    async with gateway(DOCUMENT.format(url=provider.url, more=""), tmp_path) as running:
        yield running


@pytest.fixture
async def sdk(rig: Rig) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{rig.url}/v1", max_retries=0) as client:
        yield client


def heard(provider: Upstream) -> tuple[dict[str, object], list[tuple[str, bytes]]]:
    """The plain fields, and the files, of the upload that the provider got."""
    form = read_form(provider.last.body, provider.last.headers["content-type"])
    return fields_of(form), [(part.name, part.content) for part in form.parts if part.filename is not None]


async def test_an_edit_goes_on_as_it_was_uploaded_and_costs_by_quality_size_and_number(
    rig: Rig, sdk: openai.AsyncOpenAI, provider: Upstream
) -> None:
    raw = await sdk.images.with_raw_response.edit(
        model="paint", image=[("a.png", PNG), ("b.png", PNG[::-1])], mask=("m.png", PNG[:9]), prompt="a cat", n=2,
        quality="high", size="1024x1024", extra_body={"quality": "hd"},
    )  # fmt: skip
    assert [image.b64_json for image in raw.parse().data or ()] == ["eA==", "eQ=="]
    fields, files = heard(provider)
    assert provider.last.path == "/v1/images/edits"
    assert fields == {"model": "paint-up", "prompt": "a cat", "n": "2", "quality": "hd", "size": "1024x1024"}
    assert files == [("image[]", PNG), ("image[]", PNG[::-1]), ("mask", PNG[:9])]
    assert raw.headers["x-polyroute-cost-usd"] == "0.16"
    receipt = rig.receipts()[0]
    assert receipt.usage is not None
    assert receipt.usage.units is not None
    assert (receipt.usage.units.images, receipt.usage.estimated, receipt.door) == (2, False, "openai_image_edits")


async def test_a_variation_needs_no_words(rig: Rig, provider: Upstream) -> None:
    told = await upload(rig, {"model": "paint", "n": "2"}, {"image": PNG}, "variations")
    assert len(told.json["data"]) == 2
    assert provider.last.path == "/v1/images/variations"
    assert heard(provider) == ({"model": "paint-up", "n": "2"}, [("image", PNG)])
    assert told.headers["x-polyroute-cost-usd"] == "0.08"


async def test_an_edit_that_fails_is_tried_at_the_next_with_the_same_upload(
    sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream
) -> None:
    usage = {"input_tokens": 400, "output_tokens": 1000, "total_tokens": 1400}
    provider.answers(failing(500), whole({**MADE, "usage": usage}))
    raw = await sdk.images.with_raw_response.edit(model="drawn", image=("a.png", PNG), prompt="a cat")
    assert heard(provider)[0]["model"] == "paint-up-2"
    assert raw.headers["x-polyroute-cost-usd"] == "0.042"
    assert [attempt.model for attempt in rig.receipts()[0].attempts] == ["paint", "paint-tokens"]


async def test_an_edit_streams_through_and_its_last_event_tells_the_cost(
    sdk: openai.AsyncOpenAI, provider: Upstream
) -> None:
    usage = {"input_tokens": 10, "output_tokens": 100, "total_tokens": 110}
    told: list[dict[str, Any]] = [
        {"type": "image_edit.partial_image", "b64_json": "eA==", "partial_image_index": 0},
        {"type": "image_edit.completed", "b64_json": "eQ==", "usage": usage},
    ]
    provider.answers(stream(*(f"event: {e['type']}\ndata: ".encode() + orjson.dumps(e) + b"\n\n" for e in told)))
    answer = await sdk.images.edit(
        model="paint-tokens", image=("a.png", PNG), prompt="a cat", stream=True, partial_images=1
    )
    seen = [event async for event in answer]
    assert [event.type for event in seen] == [event["type"] for event in told]
    assert seen[-1].model_extra is not None
    assert seen[-1].model_extra["polyroute"]["cost_usd"] == "0.00405"
    assert heard(provider)[0]["stream"] == "true"


async def test_a_simulated_model_makes_an_image_of_an_image(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.images.edit(model="sim", image=("a.png", PNG), prompt="a cat")
    assert (answer.data or [])[0].b64_json


async def test_a_budget_refuses_an_edit_it_cannot_pay(provider: Upstream, tmp_path: Path) -> None:
    document = DOCUMENT.format(url=provider.url, more="limits: {per_user_daily_usd: 0.01}")
    async with gateway(document, tmp_path) as poor:
        assert (await upload(poor, {"model": "paint", "prompt": "x"}, {"image": PNG})).status == 402
    assert provider.log == []


async def upload(rig: Rig, fields: dict[str, str], files: dict[str, bytes], path: str = "edits") -> Any:
    lines = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    body = "".join(lines).encode()
    for name, content in files.items():
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.png"\r\n'
        body += f"{head}Content-Type: image/png\r\n\r\n".encode() + content + b"\r\n"
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return await rig.post(f"/v1/images/{path}", body + f"--{BOUNDARY}--\r\n".encode(), headers=kind)


@pytest.mark.parametrize(
    ("fields", "files", "path", "field"),
    [
        ({"model": "paint"}, {"image": PNG}, "edits", "prompt"),
        ({"model": "paint", "prompt": "x"}, {}, "edits", "image"),
        ({"model": "paint", "prompt": "x"}, {"mask": PNG}, "edits", "image"),
        ({"model": "paint", "prompt": "x"}, {"image": b""}, "edits", "image"),
        ({"model": "paint", "prompt": "x"}, {"image": PNG, "other": PNG}, "edits", "other"),
        ({"model": "paint", "prompt": "x", "n": "11"}, {"image": PNG}, "edits", "n"),
        ({"model": "paint", "prompt": "x", "n": "two"}, {"image": PNG}, "edits", "n"),
        ({"model": "paint", "prompt": "x", "stream": "maybe"}, {"image": PNG}, "edits", "stream"),
        ({"model": "paint", "prompt": "x", "api_base": "http://evil"}, {"image": PNG}, "edits", "api_base"),
        ({"model": "paint"}, {"image": PNG, "mask": PNG}, "variations", "mask"),
    ],
)
async def test_a_bad_upload_names_its_field_and_reaches_nobody(
    rig: Rig, provider: Upstream, fields: dict[str, str], files: dict[str, bytes], path: str, field: str
) -> None:
    told = await upload(rig, fields, files, path)
    assert (told.status, told.json["error"]["param"]) == (400, field), told.body
    assert provider.log == []


async def test_what_is_no_upload_is_said_so(rig: Rig) -> None:
    told = await rig.post("/v1/images/edits", {"model": "paint", "prompt": "x", "image": "eA=="})
    assert (told.status, told.json["error"]["param"]) == (400, "image")


async def test_who_cannot_edit_is_not_asked(rig: Rig, provider: Upstream) -> None:
    told = await upload(rig, {"model": "claude", "prompt": "x"}, {"image": PNG})
    assert (told.status, told.json["error"]["code"]) == (503, "no_candidate"), told.body
    assert provider.log == []
