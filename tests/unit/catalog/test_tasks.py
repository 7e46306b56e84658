"""The shipped pack says what the articles say, and a user's own replaces it."""

from pathlib import Path

import pytest

from polyroute.catalog import tasks
from polyroute.errors import ConfigError
from polyroute.types.cards import ModelCard

PACK = tasks.load()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Summarize this 500-word article about renewable energy", "summarize"),
        ("Analyze the trade-offs between microservices and monolith architectures", "analysis"),
        ("Classify this ticket as billing or shipping", "classification"),
        ("Extract the order number from the mail", "extraction"),
        ("Answer yes or no: is the sky green?", "yes_no"),
        ("Translate the following text into German.", "translate"),
        ("Please write a Python function that sorts a list", "code"),
        ("Why is this failing?\n```\nx = 1\n```", "code"),
        ("Write a poem about the sea", "creative"),
        ("(translate) bonjour", "translate"),
        ("Hello there", None),
        ("", None),
    ],
)
def test_the_task_is_heard(text: str, label: str | None) -> None:
    assert PACK.detect(text.lower()) == label


def test_what_is_asked_first_wins() -> None:
    assert PACK.detect("summarize this code review") == "summarize"
    assert PACK.detect("debug this, then summarize what you did") == "code"


def test_a_negated_phrase_is_not_a_task() -> None:
    assert PACK.detect("do not summarize, translate into french") == "translate"


def test_a_phrase_begins_at_a_word() -> None:
    assert PACK.detect("the subextract is ready") is None


def test_a_task_is_heard_at_either_end_of_a_long_text() -> None:
    filling = "lorem ipsum dolor sit amet " * 4_000
    assert PACK.detect(f"summarize this: {filling}") == "summarize"
    assert PACK.detect(f"{filling} translate the above") == "translate"
    assert PACK.detect(f"{filling} summarize {filling}") is None


@pytest.mark.parametrize(
    ("label", "complexity", "tag"),
    [
        ("classification", "simple", "classification"),
        ("extraction", "simple", "extraction"),
        ("yes_no", "simple", "simple"),
        ("summarize", "moderate", "summarize"),
        ("translate", "moderate", "translation"),
        ("format", "moderate", "structured_output"),
        ("reasoning", "complex", "reasoning"),
        ("code", "complex", "code"),
        ("creative", "complex", "creative"),
        ("long_context_summary", "moderate", "long_context"),
        ("safety_critical", "complex", "safety"),
        ("enterprise", "complex", "enterprise"),
        ("high_volume", "simple", "high_volume"),
        ("embeddings", "simple", "embeddings"),
    ],
)
def test_the_articles_advice(label: str, complexity: str, tag: str) -> None:
    task = PACK.find(label)
    assert task is not None
    assert task.complexity == complexity
    assert tag in task.tags


def test_an_unknown_label_is_none() -> None:
    assert PACK.find("gardening") is None


def test_fitness_weighs_the_first_wish_most() -> None:
    task = tasks.Task(complexity="complex", tags=("code", "reasoning"))
    assert tasks.fitness(task, ModelCard(id="a", tags=frozenset({"code"}))) == pytest.approx(2 / 3)
    assert tasks.fitness(task, ModelCard(id="b", tags=frozenset({"reasoning"}))) == pytest.approx(1 / 3)
    assert tasks.fitness(task, ModelCard(id="c")) == 0.0
    assert tasks.fitness(tasks.Task(complexity="simple"), ModelCard(id="d")) == 0.0


def test_a_users_pack_replaces_the_shipped_one(tmp_path: Path) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text("gardening: {complexity: simple, tags: [cheap], phrases: [prune the, 修剪]}\n", encoding="utf-8")
    pack = tasks.load(file)
    assert list(pack.tasks) == ["gardening"]
    assert pack.detect("how do i prune the roses") == "gardening"
    assert pack.detect("请修剪玫瑰") == "gardening"
    assert pack.detect("summarize this") is None


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        pytest.param("a: {complexity: hard}", "a", "hard", id="no such complexity"),
        pytest.param("a: {complexity: simple, phrase: [x]}", "a", "phrase", id="an unknown field"),
        pytest.param("a: {tags: [x]}", "a", "complexity", id="a missing complexity"),
        pytest.param("a: {complexity: simple, phrases: [Prune]}", "a.phrases[0]", "lower case", id="upper case"),
        pytest.param("a: {complexity: simple, phrases: ['']}", "a.phrases[0]", "not empty", id="an empty phrase"),
        pytest.param("1: {complexity: simple}", "", "mapping of names", id="a label that is no name"),
    ],
)
def test_a_wrong_pack_is_refused(tmp_path: Path, text: str, path: str, said: str) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        tasks.load(file)
    assert [problem.path for problem in caught.value.problems] == [path]
    assert said in caught.value.message


def test_a_missing_pack_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        tasks.load(tmp_path / "none.yaml")


def test_every_tag_that_is_wished_for_is_one_that_some_model_has() -> None:
    """A misspelt tag would silently fit nothing."""
    text = (tasks.DEFAULT_PACK.parent / "overlay.json").read_text(encoding="utf-8")
    assert [tag for task in PACK.tasks.values() for tag in task.tags if f'"{tag}"' not in text] == []
