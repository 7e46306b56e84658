import pytest

from polyroute.errors import Remedy
from polyroute.stages.execution.progress import Accept, Decision, GiveUp, Outcome, Try, decide
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.routing import Candidate, Step


def step(name: str, *, max_tries: int = 2) -> Step:
    deployment = Deployment(id=name, model=name, provider="p", dialect="", upstream_model=name, card=ModelCard(id=name))
    return Step(candidate=Candidate(deployment=deployment), max_tries=max_tries)


def failed(at: int, remedy: Remedy, retry_after_s: float | None = None, *, rests: bool = False) -> Outcome:
    rests = rests or retry_after_s is not None
    return Outcome(step=at, remedy=remedy, retry_after_s=retry_after_s, wants_rest=rests)


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
        pytest.param((failed(0, RETRY, 1.5),), Try(step=1), id="nobody waits for a rest while a well one stands by"),
        pytest.param((failed(0, RETRY, rests=True),), Try(step=1), id="nor where 429 says no time"),
        pytest.param((failed(0, RETRY, 30.0),), Try(step=1), id="nobody waits long while another stands by"),
        pytest.param((failed(1, RETRY, 4.0),), Try(step=1, pause_s=4.0), id="the last one is waited for longer"),
        pytest.param((failed(1, RETRY, 30.0),), GiveUp(), id="but not for ever"),
        pytest.param(
            (failed(0, RETRY, 3.0), failed(1, SWITCH)),
            Try(step=0, pause_s=3.0),
            id="who was left to rest is come back to",
        ),
        pytest.param(
            (failed(0, RETRY, 3.0), failed(1, SWITCH), failed(0, RETRY, 3.0)),
            GiveUp(),
            id="as often as it may be tried",
        ),
        pytest.param((failed(0, RETRY, 30.0), failed(1, SWITCH)), GiveUp(), id="a long rest is not waited for"),
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


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(failed(0, RETRY, 1.5), Try(step=0, pause_s=1.5), id="the provider's own pause is kept"),
        pytest.param(failed(0, RETRY, rests=True), Try(step=0, pause_s=0.25), id="or ours where it names none"),
        pytest.param(failed(0, RETRY, 30.0), Try(step=1), id="but nobody waits long while any other stands by"),
    ],
)
def test_where_no_other_is_well_a_rest_is_waited_for(outcome: Outcome, expected: Decision) -> None:
    steps = (step("small"), step("large"))
    assert decide(steps, (outcome,), time_left_s=60.0, is_well=nobody) == expected


def test_time_spent_elsewhere_counts_as_rest() -> None:
    outcomes = (
        Outcome(step=0, remedy=RETRY, retry_after_s=3.0, wants_rest=True, ended_s=100.0),
        failed(1, SWITCH),
    )
    steps = (step("small"), step("large"))
    assert decide(steps, outcomes, time_left_s=60.0, now_s=102.0) == Try(step=0, pause_s=1.0)
    assert decide(steps, outcomes, time_left_s=60.0, now_s=110.0) == Try(step=0)


def nobody(step: Step) -> bool:
    return False


def test_a_pause_past_the_deadline_is_not_begun() -> None:
    outcomes = (failed(0, RETRY, 1.5),)
    assert decide((step("small"), step("large")), outcomes, time_left_s=1.0, is_well=nobody) == Try(step=1)


@pytest.mark.parametrize(("left_s", "expected"), [(1.25, Try(step=1)), (1.26, Try(step=0, pause_s=1.0))])
def test_a_pause_that_jitter_may_carry_past_the_deadline_is_not_begun(left_s: float, expected: Decision) -> None:
    outcomes = (failed(0, RETRY, 1.0),)
    assert decide((step("small"), step("large")), outcomes, time_left_s=left_s, is_well=nobody) == expected


def test_an_empty_plan_gives_up() -> None:
    assert decide((), (), time_left_s=60.0) == GiveUp()
