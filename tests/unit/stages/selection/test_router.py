import msgspec
import pytest
from msgspec.structs import replace

from polyroute.errors import ConfigError
from polyroute.stages.selection.router import FORMAT, Artifact, Measure, ModelFacts, Numbers, Router, Trade, read_router

EMPTY = Numbers(kind="f", data="")
MEASURE = Measure(least=0.0, most=1e9, cuts=(), weights=((0.0, 0.0),) * 3, surprise=(9.0, 0.1, 9.0))


def made(**changes: object) -> Artifact:
    plain = Artifact(
        format=FORMAT,
        content="",
        made_at="2026-01-02T00:00:00+00:00",
        rows=500,
        data="d",
        forced=False,
        models=(
            ModelFacts(name="a", quality=0.6, bias=0.6, length_slope=-0.1, lower=((0.5, 0.3), (0.9, 0.7))),
            ModelFacts(name="b", quality=0.9, bias=0.9, length_slope=0.0, lower=()),
        ),
        ngrams=Numbers(kind="I", data=""),
        idf_squares=EMPTY,
        weights=EMPTY,
        measures=(MEASURE,) * 25,
        words_mean=1.0,
        words_sd=1.0,
        prior_share=0.0,
        most_surprise=1.0,
        most_unseen=1.0,
        trades=(Trade(quality_loss=0.01, weight=0.2), Trade(quality_loss=0.05, weight=0.6)),
        metrics={},
    )
    changed = replace(plain, **changes)
    return replace(changed, content=changed.hashed())


@pytest.mark.parametrize(
    ("loss", "weight"),
    [(0.0, 0.0), (0.009, 0.0), (0.01, 0.2), (0.049, 0.2), (0.05, 0.6), (1.0, 0.6)],
)
def test_cost_weighs_what_was_calibrated_for_no_larger_a_loss(loss: float, weight: float) -> None:
    assert Router(made()).weight_for(loss) == weight


def test_a_prompt_of_strange_form_is_given_the_prior_by_length() -> None:
    router = Router(made(most_surprise=0.0))
    short, long = router.predict("hi"), router.predict("word " * 50)
    assert short.strange is not None
    assert "unlike the 500 prompts" in short.strange
    assert short.scores["b"] == long.scores["b"] == 0.9
    assert short.scores["a"] > long.scores["a"]


def test_a_prompt_of_unseen_words_is_given_the_prior() -> None:
    told = Router(made(most_unseen=0.5)).predict("nothing of this was seen")
    assert told.strange == "100% of its words and word pairs were not in the training"


def test_a_prompt_like_the_rows_is_scored() -> None:
    assert Router(made()).predict("hi").scores == {"a": 0.6, "b": 0.9}


def test_the_lower_bound_is_that_of_the_predictions_bin() -> None:
    router = Router(made())
    assert [router.lower("a", at) for at in (0.1, 0.5, 0.6, 0.99)] == [0.3, 0.3, 0.7, 0.7]
    assert router.lower("b", 0.9) == 0.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"{", "is not a trained router", id="no JSON"),
        pytest.param(b"\xff\xfe", "is not a trained router", id="no text"),
        pytest.param(b"{}", "is not a trained router", id="another file"),
        pytest.param(msgspec.json.encode(made(format="polyroute-router/9")), "of the form", id="of a later version"),
        pytest.param(msgspec.json.encode(replace(made(), rows=501)), "was changed", id="changed after it was made"),
    ],
)
def test_a_file_that_is_no_router_is_refused_by_its_setting(content: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_router(content, "routes.r.strategy.artifact")
    assert caught.value.problems[0].path == "routes.r.strategy.artifact"


def test_what_was_made_is_read_again() -> None:
    assert read_router(msgspec.json.encode(made()), "x").names == ("a", "b")
