import subprocess
import sys
from pkgutil import resolve_name

import pytest
import typer
from typer.testing import CliRunner

from polyroute.cli.main import VERBS, build

RUN = CliRunner()


def first_sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].removesuffix(".") + "."


@pytest.mark.parametrize("name", VERBS)
def test_the_summary_is_the_first_sentence_of_the_verbs_own_text(name: str) -> None:
    verb = resolve_name(f"polyroute.cli.{VERBS[name].home}")
    text = verb.info.help if isinstance(verb, typer.Typer) else verb.__doc__
    assert VERBS[name].summary == first_sentence(str(text))


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help(name: str) -> None:
    done = RUN.invoke(build(name), [name, "--help"])
    assert (done.exit_code, VERBS[name].summary.split(";")[0].rstrip(".") in " ".join(done.output.split())) == (
        0,
        True,
    )


def test_help_lists_every_verb() -> None:
    done = RUN.invoke(build(None), ["--help"])
    assert done.exit_code == 0
    assert [name for name in VERBS if f"\n  {name} " not in done.output] == []


def test_help_imports_neither_the_gateway_nor_its_libraries() -> None:
    heavy = "('aiohttp', 'openai', 'uvicorn', 'yaml', 'polyroute.wiring', 'polyroute.gateway')"
    code = f"import sys, polyroute.cli.main as m; m.build(None); print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "words", [["bogus"], ["check", "--bogus"], ["serve", "--port", "many"], ["ask", "a", "b", "c"]]
)
def test_wrong_usage_exits_with_2(words: list[str]) -> None:
    done = RUN.invoke(build(words[0]), words)
    assert (done.exit_code, "Traceback" in done.output) == (2, False)
