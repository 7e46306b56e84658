"""The name somebody may have meant."""

from time import perf_counter

from polyroute.config.suggest import Vocabulary


def test_the_nearest_name_is_suggested() -> None:
    assert Vocabulary(["fallback", "primary"]).fix("fallbak") == "did you mean `fallback`?"
    assert Vocabulary(["OpenAI"]).nearest("openai") == "OpenAI"


def test_a_short_list_is_shown_where_nothing_is_near() -> None:
    assert Vocabulary(["a", "b"]).fix("zzzzz") == "known: `a`, `b`"
    assert Vocabulary([]).fix("zzzzz") is None
    assert Vocabulary(map(str, range(50))).fix("zzzzz") is None


def test_thousands_of_unknown_names_end_soon() -> None:
    vocabulary = Vocabulary(f"model-{n}" for n in range(10_000))
    started = perf_counter()
    for n in range(10_000):
        vocabulary.fix(f"modl-{n}")
    assert perf_counter() - started < 10
