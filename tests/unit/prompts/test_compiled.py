import pytest

from polyroute.prompts.compiled import compile_version, problems_in
from polyroute.types.prompts import Variable, Variant, Wordings

DEFAULT = {"default": Variant(system="x")}


@pytest.mark.parametrize(
    ("wordings", "path"),
    [
        (Wordings(variants={"openai": Variant(system="x")}), "variants"),
        (Wordings(variants={"default": Variant()}), "variants.default"),
        (Wordings(variants={"default": Variant(system="{{a}}")}), "variants.default.system"),
        (Wordings(variants={"default": Variant(user="{{a b}}")}), "variants.default.user"),
        (Wordings(variants={"default": Variant(system="a", file="f")}), "variants.default.file"),
        (Wordings(variants={"default": Variant(system="a" * 200_001)}), "variants.default.system"),
        (Wordings(variants=DEFAULT, variables={"a b": Variable()}), "variables.a b"),
        (Wordings(variants=DEFAULT, variables={"a": Variable(default=3)}), "variables.a.default"),
        (Wordings(variants=DEFAULT, variables={"a": Variable(choices=("x", 3))}), "variables.a.choices[1]"),
        (Wordings(variants=DEFAULT, variables={"a": Variable(type="integer", max_chars=3)}), "variables.a.max_chars"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(wordings: Wordings, path: str) -> None:
    assert [problem.path for problem in problems_in(wordings, "p")] == [f"p.{path}"]


def test_a_sound_version_has_its_name_and_words() -> None:
    wordings = Wordings(variants={"default": Variant(system="Hi {{a}}", user="{{a}}?")}, variables={"a": Variable()})
    assert list(problems_in(wordings, "p")) == []
    ready = compile_version("hello", 3, wordings)
    rendered = ready.variants["default"].render({"a": "Ann"})
    assert (ready.id, rendered.system, rendered.user) == ("hello@3", "Hi Ann", "Ann?")
