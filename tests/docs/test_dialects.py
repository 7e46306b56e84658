"""The table of dialects: nothing is lost in it, and some cells are checked against the providers' own documents."""

import runpy
from pathlib import Path
from typing import Any

import pytest

TABLE: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "dialect_table.py"))
CHATS, FEATURES, TRAITS = TABLE["CHATS"], TABLE["FEATURES"], TABLE["TRAITS"]
PAIRS = [(door, upstream) for door in CHATS for upstream in CHATS]
# Completions take a text to be gone on with: they are a door, and an upstream of nobody else.
TALKS = [(door, upstream) for door, upstream in PAIRS if "openai_completions" not in (door, upstream)]


@pytest.mark.parametrize(("door", "upstream"), PAIRS)
def test_nothing_is_lost_without_a_word(door: str, upstream: str) -> None:
    lost = [one.name for one in FEATURES if TABLE["carried"](CHATS[door], CHATS[upstream], one) == TABLE["LOST"]]
    assert lost == []


@pytest.mark.parametrize(("door", "upstream"), TALKS)
def test_what_every_dialect_says_arrives_everywhere(door: str, upstream: str) -> None:
    told = {one.name: TABLE["carried"](CHATS[door], CHATS[upstream], one) for one in FEATURES}
    for name in ("text", "system prompt", "image", "tools", "parallel calls and their results", "longest answer"):
        assert told[name] in ("exact", "emulated"), name
    answers = {one.name: TABLE["answered"](CHATS[upstream], CHATS[door], one) for one in TRAITS}
    for name in ("text", "parallel calls", "stopped at its limit"):
        assert answers[name] == "exact", name


@pytest.mark.parametrize("dialect", CHATS)
def test_between_the_same_dialect_everything_is_exact(dialect: str) -> None:
    door = CHATS[dialect]
    assert {TABLE["carried"](door, door, one) for one in FEATURES} <= {"exact", "–"}
    assert {TABLE["answered"](door, door, one) for one in TRAITS} <= {"exact", "–"}


@pytest.mark.parametrize(
    ("door", "upstream", "feature", "becomes"),
    [
        ("openai_chat", "anthropic_messages", "several choices", "refused"),
        ("openai_chat", "anthropic_messages", "logprobs", "refused"),
        ("openai_chat", "anthropic_messages", "audio", "refused"),
        ("openai_chat", "anthropic_messages", "JSON schema", "exact"),
        ("openai_chat", "anthropic_messages", "JSON of any kind", "emulated"),
        ("openai_chat", "anthropic_messages", "seed", "dropped"),
        ("openai_chat", "gemini", "seed", "exact"),
        ("openai_chat", "gemini", "stop sequences", "exact"),
        ("openai_chat", "bedrock_converse", "image by address", "refused"),
        ("anthropic_messages", "openai_chat", "cache marks", "dropped"),
        ("anthropic_messages", "openai_chat", "tool result with an image", "emulated"),
        ("anthropic_messages", "openai_chat", "thinking shown before, with its signature", "dropped"),
        ("anthropic_messages", "openai_chat", "several choices", "–"),
        ("openai_completions", "anthropic_messages", "text", "exact"),
        ("openai_completions", "anthropic_messages", "seed", "dropped"),
        ("anthropic_messages", "openai_completions", "text", "refused"),
        ("gemini", "anthropic_messages", "a tool the provider runs itself", "refused"),
    ],
)
def test_a_cell_is_as_the_providers_say(door: str, upstream: str, feature: str, becomes: str) -> None:
    probe = next(one for one in FEATURES if one.name == feature)
    assert TABLE["carried"](CHATS[door], CHATS[upstream], probe) == becomes
