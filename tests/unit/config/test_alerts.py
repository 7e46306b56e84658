"""The language of alerts' conditions, and what is said of those that are none."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.config.alerts import EVENTS, FIGURES, Watched, read_condition
from polyroute.config.check import check
from polyroute.config.load import loads
from polyroute.errors import Problem


@pytest.mark.parametrize(
    ("condition", "watched"),
    [
        ("plan_exhausted", Watched(about="plan_exhausted")),
        (" breaker_opened ", Watched(about="breaker_opened")),
        ("fallback_share > 0.4", Watched(about="fallback_share", sign=">", amount=0.4)),
        ("budget>1", Watched(about="budget", sign=">", amount=1.0)),
        ("budget >= 0.9", Watched(about="budget", sign=">=", amount=0.9)),
        ("p95_ms > 2000", Watched(about="p95_ms", sign=">", amount=2000.0)),
        ("cost_per_hour_usd > 5", Watched(about="cost_per_hour_usd", sign=">", amount=5.0)),
        ("requests_per_minute < 1", Watched(about="requests_per_minute", sign="<", amount=1.0)),
    ],
)
def test_a_condition_is_read_from_its_words(condition: str, watched: Watched) -> None:
    assert read_condition(condition) == watched


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("plan_exhausted > 3", "has no amount"),
        ("fallback_share", "of what amount"),
        ("fallback_share > much", "names no share between 0 and 1"),
        ("fallback_share > 1", "never holds"),
        ("budget > 0", "names no share"),
        ("budget > 1.5", "names no share"),
        ("budget > nan", "names no share"),
        ("p95_ms > inf", "names no amount"),
        ("p95_ms > -1", "names no amount"),
        ("fallbak_share > 0.4", "nothing is known as `fallbak_share`"),
        ("fallback share > 0.4", "joined by `_`"),
        ("error_share == 0.1", "nothing is known as"),
        ("", "nothing is known as ``"),
    ],
)
def test_what_is_no_condition_is_told_with_a_fix(condition: str, words: str) -> None:
    found = read_condition(condition)
    assert isinstance(found, Problem)
    assert words in found.message
    assert found.fix


@given(st.text() | st.sampled_from([*EVENTS, *FIGURES]).map(lambda name: f"{name} >"))
def test_any_text_is_a_condition_or_one_problem(condition: str) -> None:
    assert isinstance(read_condition(condition), Watched | Problem)


@given(st.sampled_from([*FIGURES]), st.sampled_from([">", ">=", "<", "<="]), st.integers(1, 99))
def test_a_condition_reads_as_it_is_written(name: str, sign: str, hundredths: int) -> None:
    found = read_condition(f"{name} {sign} {hundredths / 100}")
    assert isinstance(found, Watched)
    assert read_condition(str(found)) == found


@pytest.mark.parametrize(
    ("alert", "path", "words"),
    [
        ("{use: log, on: [budget > 0.8]}", None, ""),
        ("{use: webhook, url: {env: URL}, on: [plan_exhausted, budget > 1], window: 1h, at_least: 3}", None, ""),
        ("{use: slack, url: {env: URL}, on: [tier_missed], routes: [m]}", None, ""),
        ("{use: webhook, on: [budget > 0.8]}", "alerts[0].url", "needs an address"),
        ("{use: slack, on: [budget > 0.8]}", "alerts[0].url", "needs an address"),
        ("{use: log, url: {env: URL}, on: [budget > 0.8]}", "alerts[0].url", "the log has no address"),
        ("{use: slack, url: {env: URL}, secret: {env: URL}, on: [tier_missed]}", "alerts[0].secret", "signs nothing"),
        ("{use: log}", "alerts[0].on", "nothing to tell of"),
        ("{use: log, on: [tier_missed], routes: [n]}", "alerts[0].routes[0]", "no route `n`"),
        ("{use: log, on: [budget > 2]}", "alerts[0].on[0]", "no share between 0 and 1"),
    ],
)
def test_what_cannot_be_told_is_refused_by_name(alert: str, path: str | None, words: str) -> None:
    text = f"models: {{m: simulated/m}}\nproviders: {{simulated: {{dialect: simulated}}}}\nalerts: [{alert}]\n"
    problems = check(loads(text, {"URL": "https://x.example/hook"}, folder=Path("/nowhere")).document)
    assert [problem.path for problem in problems] == ([] if path is None else [path])
    assert all(words in problem.message for problem in problems)
