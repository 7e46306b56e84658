"""The document that `init` writes."""

from pathlib import Path

from polyroute.config.check import check_start
from polyroute.config.load import reads
from polyroute.config.starter import starter


def test_it_starts_with_nothing_in_the_environment(tmp_path: Path) -> None:
    document = reads(starter(), {}, folder=tmp_path).document
    assert check_start(document, {}) == ()
    assert set(document.routes) == {"auto", "summarize", "extract"}
    assert document.providers["sim"].dialect == "simulated"


def test_its_commented_providers_and_keys_are_right_too(tmp_path: Path) -> None:
    text = "\n".join(
        line.replace("# ", "", 1)
        if line.lstrip().startswith(("# openai:", "# anthropic:", "# ollama:", "# keys:", "#   - {"))
        else line
        for line in starter().splitlines()
    )
    document = reads(text, {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "CI_KEY": "c"}, folder=tmp_path).document
    assert set(document.providers) == {"sim", "openai", "anthropic", "ollama"}
    assert [key.name for key in document.keys] == ["ci"]
