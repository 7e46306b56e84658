import io

import pytest
import typer

from polyroute.cli.prompt import as_chat, prompted


@pytest.mark.parametrize(
    ("words", "option", "model", "prompt"),
    [
        (["hello"], None, "auto", "hello"),
        (["support", "hello"], None, "support", "hello"),
        (["hello"], "support", "support", "hello"),
        (["-"], None, "auto", "piped in"),
        ([], "support", "support", "piped in"),
        (["support", "-"], None, "support", "piped in"),
        (None, None, "auto", "piped in"),
    ],
)
def test_words_are_a_prompt_after_a_model_if_any(
    monkeypatch: pytest.MonkeyPatch, words: list[str] | None, option: str | None, model: str, prompt: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("piped in\n"))
    request = prompted(words, option)
    assert (request.model, request.last_user_text) == (model, prompt)


@pytest.mark.parametrize(
    ("words", "option"), [(["a", "b", "c"], None), (["a", "b"], "c"), ([" "], None), (["-"], None)]
)
def test_anything_else_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, words: list[str], option: str | None) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(typer.BadParameter):
        prompted([word.strip() for word in words], option)


def test_a_request_goes_out_as_a_chat_completion() -> None:
    assert as_chat(prompted(["m", "hi"], None, system="be brief", max_output_tokens=9)) == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "max_tokens": 9,
    }
