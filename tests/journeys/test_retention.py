"""What is past its retention: by the gateway's own janitor and by the verb, and what a caller is told of it."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from tests.journeys.rig import ADMIN, DOCUMENT, ENV, Rig, ask, gateway
from tests.journeys.upstream import Upstream
from typer.testing import CliRunner

from polyroute.cli.main import build
from polyroute.config.document import Retention
from polyroute.state.reviews import Reviews
from polyroute.types.access import Caller
from polyroute.wiring.retention import expire

BOSS = Caller(user="boss", role="admin")
REVIEWED = "\nroutes:\n  legal: {primary: gpt, require_human_review: true}\n"


def prune(rig: Rig, *arguments: str) -> dict[str, int]:
    (rig.folder / "polyroute.yaml").write_text(
        'store: {database: "sqlite:///books.db"}\nproviders: {sim: {dialect: simulated}}\nmodels: {m: sim/m}\n'
    )
    ran = CliRunner().invoke(
        build("ledger"), ["ledger", "prune", "-c", str(rig.folder / "polyroute.yaml"), "--json", *arguments]
    )
    assert ran.exit_code == 0, ran.output
    removed: dict[str, int] = json.loads(ran.stdout)["removed"]
    return removed


async def test_a_receipt_past_its_time_is_told_so_and_what_was_spent_stays(rig: Rig) -> None:
    told = [await rig.post("/v1/chat/completions", ask()) for _ in range(3)]
    path = f"/v1/receipts/{told[0].headers['x-polyroute-request-id']}"
    assert (await rig.get(path)).status == 200
    before = (await rig.get("/admin/usage", key=ADMIN)).json["data"]
    services = rig.built.services
    await rig.built.foundation.ledger.drain()
    later = services.utc_now() + timedelta(days=91)
    removed = await expire(Retention(), rig.built.foundation.ledger, services.reviews, later)
    assert removed == {"receipts": 3, "notes": 0, "reviews": 0}
    answer = await rig.get(path)
    assert answer.status == 404
    assert "receipts are kept for 90 days (store.retention.receipts)" in answer.json["error"]["message"]
    assert (await rig.get("/admin/usage", key=ADMIN)).json["data"] == before


async def test_the_verb_counts_first_and_leaves_what_is_young(rig: Rig) -> None:
    await rig.post("/v1/chat/completions", ask())
    await rig.settled()
    assert await asyncio.to_thread(prune, rig, "--dry-run") == {"receipts": 0, "notes": 0, "reviews": 0}
    assert await asyncio.to_thread(prune, rig) == {"receipts": 0, "notes": 0, "reviews": 0}
    assert len(rig.receipts()) == 1


async def test_held_answers_go_after_their_decision_and_the_audit_log_says_so(
    provider: Upstream, tmp_path: Path
) -> None:
    async with gateway(DOCUMENT.format(url=provider.url) + REVIEWED, tmp_path) as rig:
        held = [await rig.post("/v1/chat/completions", ask(model="legal")) for _ in range(2)]
        assert [answer.status for answer in held] == [202, 202]
        services = rig.built.services
        reviews: Reviews = services.reviews
        reviews.decide(BOSS, held[0].json["id"], "approve")
        now = services.utc_now()
        assert reviews.expire(now + timedelta(minutes=1)) == 1, "the other is undecided still, and not lapsed"
        assert reviews.state_of(held[0].json["id"]) is None
        assert reviews.state_of(held[1].json["id"]) == "pending"
        assert services.records.entries(after=0)[-1].act.action == "reviews:expire"


@pytest.mark.parametrize(
    ("retention", "says"),
    [
        ("{receipts: 1d}", "store.retention.receipts: is too short"),
        ("{ledger: 30d}", "store.retention.ledger: is too short"),
        ("{receipt: 1d}", "receipts"),
        ("{receipts: 36500d, reviews: 7d, ledger: 3650d}", ""),
    ],
)
async def test_what_the_document_may_say(retention: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "polyroute.yaml"
    text = f"store: {{retention: {retention}}}\nproviders: {{sim: {{dialect: simulated}}}}\nmodels: {{m: sim/m}}\n"
    path.write_text(text)
    ran = CliRunner().invoke(build("check"), ["check", "-c", str(path)], env=dict(ENV))
    assert ran.exit_code == (1 if says else 0), ran.output
    assert says in ran.output
