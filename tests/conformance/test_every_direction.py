"""Every exchange of a chat API in every direction, through one running gateway.

Recorded ones: `../shared/data/conformance` beside the checkout. Those of `tests/wire/in_kind.jsonl` are of our own
writing, after the providers' documentation (the field `after` names it), for what few recordings show: servers that
call themselves compatible, and parts, events and reasons to stop that are rare.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.conformance.directions import APIS, IN_KIND, RECORDED, Case, outcome, rows, running
from tests.journeys.rig import Rig
from tests.journeys.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")
TURNS = [("same", api, api) for api in APIS] + [
    (direction, api, other)
    for direction in ("answer", "question")
    for api in APIS
    for other in APIS
    if other != api
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, Upstream]]:
    async with running(tmp_path_factory.mktemp("gateway")) as pair:
        yield pair


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in rows(IN_KIND)])
@pytest.mark.parametrize("direction", ["same", "answer", "question"])
async def test_an_exchange_in_kind(both: tuple[Rig, Upstream], case: Case, direction: str) -> None:
    others = [case["api"]] if direction == "same" else [api for api in APIS if api != case["api"]]
    told = {api: await outcome(*both, case, direction, api) for api in others}
    assert {api: fault for api, fault in told.items() if fault is not None} == {}


@pytest.mark.skipif(not RECORDED.exists(), reason="the conformance corpus is not beside this checkout")
@pytest.mark.parametrize(("direction", "api", "other"), TURNS)
async def test_every_recorded_exchange(both: tuple[Rig, Upstream], direction: str, api: str, other: str) -> None:
    told: dict[str, Any] = {}
    for case in rows(RECORDED):
        if case["api"] == api and (direction != "question" or case["status"] == 200):
            told[case["id"]] = await outcome(*both, case, direction, other)
    assert len(told) > 100
    assert {case_id: fault for case_id, fault in told.items() if fault is not None} == {}


async def test_what_is_ours_says_after_which_page_it_was_written() -> None:
    assert [case["id"] for case in rows(Path(IN_KIND)) if not case["after"]] == []
