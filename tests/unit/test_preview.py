from decimal import Decimal

from tests.unit.rig import CALLER, Rig, a_route, deployment

from polyroute.preview import preview
from polyroute.types.request import ask


def test_a_dry_run_calls_nobody_and_writes_nothing() -> None:
    rig = Rig({"small": [], "large": []})
    told = preview(rig.path.prepare(ask("route", "What is the capital of France?"), CALLER, rig.entry()))
    assert rig.provider.calls == []
    assert (rig.books.openings, rig.books.settlements, rig.observed) == ([], [], [])
    assert (told.complexity, told.model, told.route) == ("simple", "small", "route")
    assert told.plan == ("small@provider", "large@provider")
    assert told.estimated_cost_per_1k == Decimal("0.001")  # of a dollar per million
    assert told.estimated_cost_usd is not None
    assert [note.model for note in told.candidates] == ["small", "large"]
    assert told.input_tokens > 0
    assert told.evidence


def test_what_cannot_be_served_is_told_with_its_reasons() -> None:
    rig = Rig({"small": []}, a_route(deployment("small", context_tokens=1)))
    told = preview(rig.path.prepare(ask("route", "hello"), CALLER, rig.entry()))
    assert (told.model, told.estimated_cost_per_1k, told.estimated_cost_usd, told.plan) == (None, None, None, ())
    assert told.reason.startswith("context 1 < needed")
    assert [exclusion.deployment for exclusion in told.exclusions] == ["small@provider"]


def test_an_unknown_price_has_no_estimate() -> None:
    rig = Rig({"small": []}, a_route(deployment("small", price=None)))
    told = preview(rig.path.prepare(ask("route", "hello"), CALLER, rig.entry()))
    assert (told.model, told.estimated_cost_per_1k, told.estimated_cost_usd) == ("small", None, None)
