from pathlib import Path

import pytest

from polyroute.config.load import reads
from polyroute.errors import ConfigError

HEAD = "server: {auth: open}\nproviders: {sim: {dialect: simulated}}\nmodels: {m: sim/m}\nroutes:\n  r: {primary: m, "
SCHEMA = "schema: {type: object, properties: {analysis: {type: string}, inner: {properties: {deep: {}}}}}"


@pytest.mark.parametrize(
    ("output", "path", "words"),
    [
        ("{}", "routes.r.output", "says nothing"),
        (f"{{{SCHEMA}, aliases: {{analysis: deep}}}}", "routes.r.output.aliases.analysis", "has a property"),
        (f"{{{SCHEMA}, aliases: {{result: analysi}}}}", "routes.r.output.aliases.result", "no property"),
        (f"{{{SCHEMA}, aliases: {{a: b, b: analysis}}}}", "routes.r.output.aliases.a", "another name itself"),
        ("{aliases: {a: a}}", "routes.r.output.aliases.a", "another name itself"),
    ],
)
def test_a_contract_that_cannot_be_meant(tmp_path: Path, output: str, path: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        reads(f"{HEAD}output: {output}}}", {}, folder=tmp_path)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert words in problem.message


@pytest.mark.parametrize("output", [f"{{{SCHEMA}, aliases: {{result: analysis, low: deep}}}}", "{aliases: {a: b}}"])
def test_a_sound_one(tmp_path: Path, output: str) -> None:
    assert reads(f"{HEAD}output: {output}}}", {}, folder=tmp_path).document.routes["r"].output is not None
