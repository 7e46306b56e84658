"""An answer its provider still works on is booked at its most, until somebody reads it after its end."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.journeys.rig import DOCUMENT, gateway
from tests.journeys.upstream import Upstream, whole

QUEUED: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "queued",
    "model": "gpt-up",
    "output": [],
    "usage": None,
}


async def test_a_background_answer_is_booked_at_its_cap_and_marked(provider: Upstream, tmp_path: Path) -> None:
    provider.script = lambda heard: whole(QUEUED)
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path) as rig:
        body = {"model": "gpt", "input": "think", "background": True, "max_output_tokens": 1000}
        told = await rig.post("/v1/responses", body)
        assert (told.status, told.json["status"]) == (200, "queued")
        receipt = await rig.receipt(told)
    assert receipt.usage is not None
    assert (receipt.usage.output_tokens, receipt.usage.estimated) == (1000, True)
    assert receipt.cost_usd >= Decimal("0.01")  # a thousand tokens at 10 USD per million
