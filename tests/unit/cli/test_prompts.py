from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from polyroute.cli.main import build

DOCUMENT = """
server: {auth: open}
providers: {sim: {dialect: simulated}}
models: {small: sim/small}
prompts:
  fixed:
    versions:
      1: {variables: {who: {}}, variants: {default: {file: words.md}, anthropic: {system: "<b>{{who}}</b>"}}}
routes:
  a: {primary: small, prompt: fixed}
  b: {primary: small, prompt: hello@live}
"""


class Shell:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "polyroute.yaml"
        self.file.write_text(DOCUMENT)
        (folder / "words.md").write_text("Greet {{who}}.\n")

    def run(self, verb: str, *words: str, exits: int = 0) -> str:
        result = CliRunner().invoke(build(verb), [verb, *words, "--config", str(self.file)])
        assert result.exit_code == exits, result.output
        return result.output

    def json(self, *words: str, exits: int = 0) -> Any:
        return orjson.loads(self.run("prompts", *words, "--json", exits=exits))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_prompts_life(shell: Shell) -> None:
    added = shell.json("add", "hello", "--system", "Hi {{who}}.", "--variable", "who", "--label", "live")
    assert added["id"] == "hello@1"
    words = shell.file.with_name("hello.yaml")
    words.write_text('variables: {who: {type: string}}\nvariants: {default: {system: "Welcome {{who}}."}}\n')
    assert shell.json("add", "hello", "--file", str(words))["version"] == 2
    assert shell.json("label", "hello", "live", "2")["labels"] == {"live": 2}
    assert shell.json("render", "hello", "--var", "who=Ann")["system"] == "Welcome Ann."
    assert shell.json("label", "hello", "live", "1")["labels"] == {"live": 1}
    assert shell.json("render", "hello", "--var", "who=Ann")["system"] == "Hi Ann."
    assert "+    Welcome {{who}}." in shell.json("diff", "hello@1", "2", exits=1)["lines"]
    assert [p["name"] for p in shell.json("list")] == ["fixed", "hello"]
    shown = shell.run("prompts", "show", "hello")
    assert "hello@2" in shown
    assert "live from 2 to 1 by command line" in shown
    assert "hello" in shell.run("prompts", "list")


def test_the_documents_prompt_is_read_with_its_file_and_not_changed(shell: Shell) -> None:
    assert shell.json("render", "fixed@1", "--var", "who=Ann")["system"] == "Greet Ann."
    assert shell.json("render", "fixed", "--var", "who=Ann", "--variant", "anthropic")["system"] == "<b>Ann</b>"
    shell.run("prompts", "add", "fixed", "--system", "x", exits=1)
    shell.run("prompts", "label", "fixed", "live", "1", exits=1)


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nobody"),
        ("render", "fixed@9"),
        ("render", "fixed"),
        ("render", "fixed", "--var", "who"),
        ("render", "fixed", "--variant", "gemini"),
        ("add", "hello"),
        ("add", "hello", "--system", "{{x}}"),
        ("label", "hello", "live", "1"),
    ],
)
def test_what_cannot_be_is_one_message(shell: Shell, words: tuple[str, ...]) -> None:
    shell.run("prompts", *words, exits=1)


def test_one_prompt_with_its_variables_from_the_shell(shell: Shell) -> None:
    shell.json("add", "hello", "--system", "Hi.", "--label", "live")
    decided = orjson.loads(shell.run("route", "hi", "-m", "a", "--var", "who=Ann", "--json"))
    assert decided["prompt"] == "fixed@1"
    asked = orjson.loads(shell.run("ask", "hi", "-m", "a", "--var", 'who:="Ann"', "--json"))
    assert asked["route"] == "a"
    shell.run("ask", "hi", "-m", "a", exits=1)
    shell.run("ask", "hi", "-m", "a", "--var", "who:=Ann", exits=2)


def test_a_label_that_a_route_goes_by_stays(shell: Shell) -> None:
    shell.json("add", "hello", "--system", "Hi.", "--label", "live")
    shell.run("prompts", "label", "hello", "live", "--delete", exits=1)
    shell.run("prompts", "label", "hello", "live", exits=2)


def test_check_tells_a_prompt_that_is_nowhere_until_it_is_there(shell: Shell) -> None:
    checked = orjson.loads(shell.run("check", "--json", exits=1))
    assert [(p["path"], p["message"]) for p in checked["problems"]] == [
        ("routes.b.prompt", "there is no prompt `hello`")
    ]
    shell.json("add", "hello", "--system", "Hi.")
    checked = orjson.loads(shell.run("check", "--json", exits=1))
    assert "no label `live`" in checked["problems"][0]["message"]
    shell.json("label", "hello", "live", "1")
    checked = orjson.loads(shell.run("check", "--json"))
    assert [note["path"] for note in checked["notes"]] == ["prompts.fixed.versions.1.variants.anthropic"]
