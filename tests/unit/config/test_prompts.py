from pathlib import Path

import pytest

from polyroute.config.load import reads
from polyroute.config.snapshot import Snapshot
from polyroute.errors import ConfigError

HEAD = "server: {auth: open}\nproviders: {sim: {dialect: simulated}}\nmodels: {m: sim/m}\n"
ONE = "{variants: {default: {system: x}}}"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("prompts: {p: {versions: {}}}", "prompts.p.versions"),
        (f"prompts: {{p: {{versions: {{a: {ONE}}}}}}}", "prompts.p.versions.a"),
        (f"prompts: {{p: {{versions: {{0: {ONE}}}}}}}", "prompts.p.versions.0"),
        (f"prompts: {{p: {{versions: {{1: {ONE}}}, labels: {{live: 2}}}}}}", "prompts.p.labels.live"),
        (f'prompts: {{p: {{versions: {{1: {ONE}}}, labels: {{"7": 1}}}}}}', "prompts.p.labels.7"),
        (f'prompts: {{"p@1": {{versions: {{1: {ONE}}}}}}}', "prompts.p@1"),
        ("prompts: {p: {versions: {1: {variants: {openai: {system: x}}}}}}", "prompts.p.versions.1.variants"),
        (
            'prompts: {p: {versions: {1: {variants: {default: {system: "{{x}}"}}}}}}',
            "prompts.p.versions.1.variants.default.system",
        ),
        (
            "prompts: {p: {versions: {1: {variants: {default: {file: none.md}}}}}}",
            "prompts.p.versions.1.variants.default.file",
        ),
        (
            "prompts: {p: {versions: {1: {variants: {default: {systen: x}}}}}}",
            "prompts.p.versions.1.variants.default.systen",
        ),
        (f"prompts: {{p: {{versions: {{1: {ONE}}}}}}}\nroutes: {{r: {{primary: m, prompt: p@2}}}}", "routes.r.prompt"),
        (
            f"prompts: {{p: {{versions: {{1: {ONE}}}}}}}\nroutes: {{r: {{primary: m, prompt: p@live}}}}",
            "routes.r.prompt",
        ),
        ("routes: {r: {primary: m, prompt: p@}}", "routes.r.prompt"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        reads(HEAD + text, {}, folder=tmp_path)
    assert path in [problem.path for problem in caught.value.problems]


def test_a_file_is_read_watched_and_part_of_the_policy(tmp_path: Path) -> None:
    text = HEAD + "prompts: {p: {versions: {1: {variants: {default: {file: words/p.md}}}}}}"
    (tmp_path / "words").mkdir()
    file = tmp_path / "words" / "p.md"
    digests = set()
    for words in ("Be kind.\n", "Be brief.\n"):
        file.write_text(words)
        loaded = reads(text, {}, folder=tmp_path)
        assert loaded.document.prompts["p"].versions["1"].variants["default"].system == words.strip()
        assert str(file) in loaded.texts
        digests.add(Snapshot.of(loaded.document).digest)
    assert len(digests) == 2
