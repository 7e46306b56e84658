"""The books beside a provider's export."""

from datetime import date
from decimal import Decimal

import pytest

from polyroute.stores.reconcile import Spell, Tolerance, base_name, compare, merged

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
EXACT = Tolerance(share=Decimal(0), usd=Decimal(0), tokens=0)


def spell(model: str = "gpt-4o", day: date = MONDAY, usd: str | None = "1", inputs: int | None = 100) -> Spell:
    return Spell(day=day, model=model, input_tokens=inputs, cost_usd=None if usd is None else Decimal(usd))


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-3-5-sonnet@20241022", "claude-3-5-sonnet"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("openai/GPT-4o-mini", "gpt-4o-mini"),
        ("gpt-4-0613", "gpt-4-0613"),
        ("20250929", "20250929"),
    ],
)
def test_snapshots_count_with_their_model(name: str, base: str) -> None:
    assert base_name(name) == base


@pytest.mark.parametrize(
    ("books", "export", "drifts"),
    [
        pytest.param([spell()], [spell("gpt-4o-2024-08-06")], [()], id="equal under another name"),
        pytest.param([spell(usd="1.02")], [spell(usd="1")], [("cost_usd",)], id="dearer in the books"),
        pytest.param([spell(inputs=90)], [spell()], [("input_tokens",)], id="fewer tokens"),
        pytest.param([], [spell()], [("input_tokens", "cost_usd")], id="not in the books"),
        pytest.param([spell(), spell("o3")], [spell()], [(), ("input_tokens", "cost_usd")], id="not in the export"),
        pytest.param([spell(), spell(day=TUESDAY)], [spell()], [()], id="another day is not compared"),
        pytest.param([spell(inputs=5)], [spell(inputs=None)], [()], id="what the export leaves out is not compared"),
        pytest.param([spell(usd="0.5"), spell(usd="0.5", inputs=0)], [spell()], [()], id="calls add up"),
        pytest.param([spell()], [], [], id="an empty export"),
    ],
)  # fmt: skip
def test_drifts(books: list[Spell], export: list[Spell], drifts: list[tuple[str, ...]]) -> None:
    assert [line.drifts for line in compare(books, export, EXACT)] == drifts


def test_within_the_tolerance_nothing_drifts() -> None:
    books, export = [spell(usd="100", inputs=100_000)], [spell(usd="100.9", inputs=100_900)]
    (line,) = compare(books, export, Tolerance())
    assert line.drifts == ()
    assert line.drift_usd == Decimal("0.9")


def test_to_merge_twice_is_to_merge_once() -> None:
    once = merged([spell(), spell("gpt-4o-2024-08-06"), spell("o3", usd=None)])
    assert merged(once) == once
