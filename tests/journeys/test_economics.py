"""What is charged, by the command."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from polyroute.cli.main import build

BANDS = [{"above_tokens": 10_000_000, "discount": 0.15}, {"above_tokens": 50_000_000, "discount": 0.25}]
TARIFF = {
    "platform_fee_usd": 500,
    "allowance_tokens": 5_000_000,
    "unit_price_usd_per_million": 10.5,
    "schedule": "graduated",
    "discounts": BANDS,
}


def run(*words: str) -> Any:
    return CliRunner().invoke(build("economics"), ["economics", *words])


def billed(folder: Path, tariff: object, *months: int, words: tuple[str, ...] = ("--json",)) -> Any:
    file = folder / "tariff.json"
    file.write_text(json.dumps(tariff))
    tokens = [word for month in months for word in ("--usage-tokens", str(month))]
    return run("invoice", "--tariff", str(file), *tokens, *words)


def test_an_invoice_is_told_to_the_cent_line_by_line(tmp_path: Path) -> None:
    told = json.loads(billed(tmp_path, TARIFF, 60_000_000).stdout)
    assert told["total_usd"] == 988.25  # 500 + 5 x 10.5 + 40 x 8.925 + 10 x 7.875
    assert [line["amount_usd"] for line in told["lines"]] == [500, 0, 52.5, 357, 78.75]


def test_several_months_add_up(tmp_path: Path) -> None:
    told = json.loads(billed(tmp_path, TARIFF, 1_000_000, 11_000_000).stdout)
    assert told["total_usd"] == 1061.43
    assert [month["total_usd"] for month in told["months"]] == [500, 561.43]


def test_people_see_the_lines_and_the_other_schedule(tmp_path: Path) -> None:
    shown = billed(tmp_path, TARIFF, 60_000_000, words=()).stdout
    assert "beyond the allowance, 25% off" in shown
    assert "total $988.25; by the other schedule $933.13" in shown


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"discounts": [{"above_tokens": 1, "discount": 15}]}, "discounts[0].discount", id="in percent"),
        pytest.param({"unit_price_usd_per_million": -1}, "unit_price_usd_per_million", id="a negative price"),
        pytest.param({"schedule": "steep"}, "schedule", id="an unknown schedule"),
        pytest.param({"fee": 1}, "unknown field", id="an unknown key"),
        pytest.param({"allowance_tokens": "many"}, "allowance_tokens", id="words for a number"),
    ],
)
def test_a_tariff_that_cannot_be_is_refused_by_its_field(changed: dict[str, object], said: str, tmp_path: Path) -> None:
    done = billed(tmp_path, {**TARIFF, **changed}, 1)
    assert done.exit_code == 1
    assert said in done.output


def test_a_quote_has_its_margin_and_its_formula() -> None:
    words = ("--unit-price", "10", "--usage-tokens", "100000000", "--discount", "0.25", "--cost", "150", "--json")
    told = json.loads(run("quote", *words).stdout)
    assert (told["total_usd"], told["margin"]) == (750, 0.8)
    assert "(1 - discount)" in told["formula"]


def test_a_discount_in_percent_is_refused() -> None:
    done = run("quote", "--unit-price", "10", "--usage-tokens", "1", "--discount", "25")
    assert done.exit_code == 1
    assert "0.15 is 15 % off" in done.output


def test_tokens_above_the_last_listed_band_are_priced_by_agreement(tmp_path: Path) -> None:
    bands = [*BANDS, {"above_tokens": 200_000_000, "discount": "custom"}]
    done = billed(tmp_path, {**TARIFF, "discounts": bands}, 200_000_001)
    assert done.exit_code == 1
    assert "priced by agreement" in done.output
