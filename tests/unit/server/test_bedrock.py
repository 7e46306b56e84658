"""Bedrock's paths in the table."""

import pytest

from polyroute.server.table import build_table

TABLE = build_table()


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/model/support/converse", "support"),
        ("/model/us.anthropic.claude-3-haiku:0/converse-stream", "us.anthropic.claude-3-haiku:0"),
        ("/model/aws/claude/converse", "aws/claude"),
        ("/model/arn:aws:bedrock:x:0:prompt-router/us.claude/converse", "arn:aws:bedrock:x:0:prompt-router/us.claude"),
        ("/model/openrouter/meta/llama/converse", "openrouter/meta/llama"),
    ],
)  # fmt: skip
def test_the_model_is_all_that_stands_before_the_verb(path: str, model: str) -> None:
    found = TABLE.find("POST", path)
    assert found.endpoint is not None
    assert "/".join(found.variables.values()) == model
    assert found.dialect == "bedrock_converse"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/model/support/converse", ("POST",)),
        ("POST", "/model/support/invoke", ()),
        ("POST", "/model//converse", ()),
    ],
)
def test_errors_under_these_paths_have_bedrocks_shape(method: str, path: str, allowed: tuple[str, ...]) -> None:
    found = TABLE.find(method, path)
    assert (found.endpoint, found.allowed, found.dialect) == (None, allowed, "bedrock_converse")
