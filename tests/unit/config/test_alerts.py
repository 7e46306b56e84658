"""Which alerts are honoured, and what is said of the others."""

from pathlib import Path

import pytest

from polyroute.config.alerts import budget_share
from polyroute.config.check import check
from polyroute.config.load import loads


@pytest.mark.parametrize(
    ("condition", "share"),
    [
        ("budget > 0.9", 0.9),
        ("budget>1", 1.0),
        ("budget > 0", None),
        ("budget > 1.5", None),
        ("budget > much", None),
        ("budget", None),
        ("budget > nan", None),
        ("fallback_share > 0.4", None),
    ],
)
def test_a_share_is_read_from_its_words(condition: str, share: float | None) -> None:
    assert budget_share(condition) == share


@pytest.mark.parametrize(
    ("alert", "path", "words"),
    [
        ("{use: log, on: [budget > 0.8]}", None, ""),
        ("{use: webhook, url: {env: URL}, on: [budget > 0.8, budget > 1]}", None, ""),
        ("{use: log, on: [plan_exhausted]}", "alerts[0].on[0]", "tells nobody of `plan_exhausted`"),
        ("{use: log, on: [budget > 2]}", "alerts[0].on[0]", "no share between 0 and 1"),
        ("{use: webhook, on: [budget > 0.8]}", "alerts[0].url", "needs an address"),
        ("{use: log, url: {env: URL}, on: [budget > 0.8]}", "alerts[0].url", "the log has no address"),
        ("{use: log}", "alerts[0].on", "nothing to tell of"),
    ],
)
def test_what_cannot_be_told_is_refused_by_name(alert: str, path: str | None, words: str) -> None:
    text = f"models: {{m: simulated/m}}\nproviders: {{simulated: {{dialect: simulated}}}}\nalerts: [{alert}]\n"
    problems = check(loads(text, {"URL": "https://x.example/hook"}, folder=Path("/nowhere")).document)
    assert [problem.path for problem in problems] == ([] if path is None else [path])
    assert all(words in problem.message for problem in problems)
