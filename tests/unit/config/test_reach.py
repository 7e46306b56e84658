"""What comes over the API reads nothing of the machine that the document in force does not."""

from pathlib import Path

import pytest

from polyroute.config.load import Loaded, reads
from polyroute.config.reach import reach_problems

ENV = {"KEY": "sk-1", "POLYROUTE_SEAL_KEY": "sealed", "OPENAI_API_KEY": "sk-own"}
BEFORE = """
providers: {p: {dialect: openai, base_url: "http://127.0.0.1:1/v1", api_key: {env: KEY}, headers: {x-a: {file: a.txt}}}}
models: {m: p/m}
prompts: {hello: {versions: {1: {variants: {default: {file: hello.txt}}}}}}
"""


def load(text: str, folder: Path) -> Loaded:
    for name in ("a.txt", "b.txt", "hello.txt"):
        (folder / name).write_text("text")
    (folder / "more.yaml").write_text("routes: {r: {primary: m}}")
    return reads(text, ENV, folder=folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{env: KEY}", "{env: POLYROUTE_SEAL_KEY}", "the variable POLYROUTE_SEAL_KEY"),
        ("127.0.0.1:1/v1", "127.0.0.1:1/v1?x=${POLYROUTE_SEAL_KEY}", "the variable POLYROUTE_SEAL_KEY"),
        ("{file: a.txt}", "{file: b.txt}", "the secret file b.txt"),
        ("{file: hello.txt}", "{file: b.txt}", "the file b.txt"),
        ("models:", "include: more.yaml\nmodels:", "the file more.yaml"),
    ],
)
def test_what_is_read_anew_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    (problem,) = reach_problems(load(BEFORE, tmp_path), load(BEFORE.replace(old, new), tmp_path))
    assert said in problem.message
    assert "sealed" not in str(problem)


@pytest.mark.parametrize(
    ("old", "new"),
    [("", ""), ("p/m", "p/other"), ("{env: KEY}", "'${KEY}'"),
     ("models: {m: p/m}", "models: {m: p/m, own: openai/gpt-4o}")],
)  # fmt: skip
def test_what_was_read_before_may_be_read_again(tmp_path: Path, old: str, new: str) -> None:
    assert reach_problems(load(BEFORE, tmp_path), load(BEFORE.replace(old, new), tmp_path)) == ()
