"""The name somebody may have meant."""

from polyroute.config.suggest import Vocabulary


def test_the_nearest_name_is_suggested() -> None:
    assert Vocabulary(["fallback", "primary"]).fix("fallbak") == "did you mean `fallback`?"
    assert Vocabulary(["OpenAI"]).nearest("openai") == "OpenAI"


def test_a_short_list_is_shown_where_nothing_is_near() -> None:
    assert Vocabulary(["a", "b"]).fix("zzzzz") == "known: `a`, `b`"
    assert Vocabulary([]).fix("zzzzz") is None
    assert Vocabulary(map(str, range(50))).fix("zzzzz") is None


def test_thousands_of_known_names_are_searched_a_few_times_only() -> None:
    vocabulary = Vocabulary(f"model-{n}" for n in range(10_000))
    found = [vocabulary.nearest(f"modl-{n}") for n in range(1000)]
    assert found[0] == "model-0"
    assert 0 < sum(name is not None for name in found) <= 10
    assert vocabulary.nearest("modl-0") == "model-0"
