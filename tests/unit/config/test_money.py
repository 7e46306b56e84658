"""Budgets within budgets, as a document writes them."""

from pathlib import Path

import pytest

from polyroute.config.check import check
from polyroute.config.load import loads


def problems_of(text: str) -> list[str]:
    document = loads("providers: {sim: {dialect: simulated}}\n" + text, {"K": "k"}, folder=Path("/nowhere")).document
    return [str(problem) for problem in check(document)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: {m: {provider: sim, budget: {daily_usd: -1}}}", "models.m.budget.daily_usd"),
        ("models: {m: sim/m}\nteams: {a: {budget: {daily_usd: 600}}}\nlimits: {per_team_daily_usd: 500}",
         "teams.a.budget.daily_usd: 600 is more than limits.per_team_daily_usd allows, 500"),
        (("models: {m: sim/m}\nteams: {a: {budget: {monthly_usd: 50}}}\nkeys: [{name: k, key: {env: K}, team: a,"
         " budget: {daily_usd: 60}}]"), "keys[0].budget.daily_usd: 60 is more than teams.a.budget.monthly_usd allows"),
        ("models: {m: {budget: {total_usd: 5}, deployments: [{provider: sim, budget: {weekly_usd: 6}}]}}",
         "models.m.deployments[0].budget.weekly_usd: 6 is more than models.m.budget.total_usd allows"),
        ("models: {m: sim/m}\nlimits: {per_user_daily_usd: 9, per_team_daily_usd: 8}", "limits.per_user.daily_usd"),
        ('models: {m: sim/m}\nlimits: {per_user_daily_usd: "NaN", per_team_daily_usd: 8}', "is no amount of money"),
        ('models: {m: sim/m}\nlimits: {per_user_daily_usd: 9, per_team_daily_usd: sNaN}', "is no amount of money"),
    ],
)  # fmt: skip
def test_a_part_is_not_allowed_more_than_the_whole(text: str, words: str) -> None:
    (problem,) = problems_of(text)
    assert words in problem


def test_what_lies_within_is_sound() -> None:
    assert not problems_of(
        "models: {m: {budget: {daily_usd: 5}, deployments: [{provider: sim, budget: {daily_usd: 5}}]}}\n"
        "teams: {a: {weight: 3, budget: {monthly_usd: 50}, limits: {parallel: 4}}}\n"
        "keys: [{name: k, key: {env: K}, team: a, budget: {monthly_usd: 50}, limits: {per_minute: 4}}]"
    )
