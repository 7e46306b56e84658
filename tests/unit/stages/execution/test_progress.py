import pytest

from polyroute.errors import Remedy
from polyroute.stages.execution.progress import Accept, Decision, GiveUp, Outcome, Try, decide
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.routing import Candidate, Step


def step(name: str, *, max_tries: int = 2) -> Step:
    deployment = Deployment(id=name, model=name, provider="p", dialect="", upstream_model=name, card=ModelCard(id=name))
    return Step(candidate=Candidate(deployment=deployment), max_tries=max_tries)


def failed(at: int, remedy: Remedy, retry_after_s: float | None = None) -> Outcome:
    return Outcome(step=at, remedy=remedy, retry_after_s=retry_after_s)


RETRY, SWITCH, STOP = Remedy.RETRY, Remedy.SWITCH, Remedy.STOP
ACCEPTED = Outcome(step=0, accepted=True)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param((), Try(step=0), id="the plan's first step comes first"),
        pytest.param((ACCEPTED,), Accept(), id="an accepted answer ends it"),
        pytest.param((failed(0, SWITCH),), Try(step=1), id="a rejected answer escalates without pausing"),
        pytest.param((failed(0, RETRY),), Try(step=0, pause_s=0.25), id="a transient failure is retried after a pause"),
        pytest.param((failed(0, RETRY),) * 2, Try(step=1), id="tries are counted"),
        pytest.param((failed(0, RETRY, 1.5),), Try(step=0, pause_s=1.5), id="the provider's own pause is kept"),
        pytest.param((failed(0, RETRY, 30.0),), Try(step=1), id="nobody waits long while another stands by"),
        pytest.param((failed(1, RETRY, 4.0),), Try(step=1, pause_s=4.0), id="the last one is waited for longer"),
        pytest.param((failed(1, RETRY, 30.0),), GiveUp(), id="but not for ever"),
        pytest.param((failed(0, STOP),), GiveUp(), id="a bad request is tried once"),
        pytest.param((failed(0, SWITCH), failed(1, SWITCH)), GiveUp(), id="at the end of the plan it is over"),
    ],
)
def test_decide(outcomes: tuple[Outcome, ...], expected: Decision) -> None:
    assert decide((step("small"), step("large")), outcomes, time_left_s=60.0) == expected


def test_pauses_double() -> None:
    steps = (step("only", max_tries=4),)
    outcomes = (failed(0, RETRY),) * 3
    assert decide(steps, outcomes, time_left_s=60.0) == Try(step=0, pause_s=1.0)


def test_nothing_is_tried_when_time_is_over() -> None:
    assert decide((step("small"),), (), time_left_s=0.0) == GiveUp(out_of_time=True)


def test_an_answer_that_came_at_the_last_moment_counts() -> None:
    assert decide((step("small"),), (ACCEPTED,), time_left_s=-1.0) == Accept()


def test_a_pause_past_the_deadline_is_not_begun() -> None:
    assert decide((step("small"), step("large")), (failed(0, RETRY, 1.5),), time_left_s=1.0) == Try(step=1)


@pytest.mark.parametrize(("left_s", "expected"), [(1.25, Try(step=1)), (1.26, Try(step=0, pause_s=1.0))])
def test_a_pause_that_jitter_may_carry_past_the_deadline_is_not_begun(left_s: float, expected: Decision) -> None:
    assert decide((step("small"), step("large")), (failed(0, RETRY, 1.0),), time_left_s=left_s) == expected


def test_an_empty_plan_gives_up() -> None:
    assert decide((), (), time_left_s=60.0) == GiveUp()
