import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.types.trace import Trace, span_id

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_context_is_read() -> None:
    assert Trace.read(PARENT, "congo=t61rcWkgMzE, rojo@v=00f067aa0ba902b7") == Trace(
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        parent_id="00f067aa0ba902b7",
        sampled=True,
        state="congo=t61rcWkgMzE, rojo@v=00f067aa0ba902b7",
    )


@pytest.mark.parametrize(
    "traceparent",
    [
        pytest.param("", id="nothing"),
        pytest.param(PARENT.upper(), id="upper case"),
        pytest.param(f"ff{PARENT[2:]}", id="the forbidden version"),
        pytest.param(f"00-{'0' * 32}-00f067aa0ba902b7-01", id="no trace"),
        pytest.param(f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01", id="no parent"),
        pytest.param(f"{PARENT}-more", id="version 00 has no more"),
        pytest.param(f"01{PARENT[2:]}more", id="a later version has more after a dash only"),
        pytest.param(PARENT[:-1], id="cut"),
        pytest.param(PARENT.replace("4bf9", "4bg9"), id="no digit"),
        pytest.param("00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01", id="a dash elsewhere"),
    ],
)
def test_what_does_not_follow_the_grammar_is_no_context(traceparent: str) -> None:
    assert Trace.read(traceparent) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    found = Trace.read(f"01{PARENT[2:]}-more")
    assert found is not None
    assert found.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "state",
    [
        "a=1,a=2",
        "A=1",
        "a",
        "a=",
        "=1",
        "a=1=2",
        "a=1\r\nx-evil: 1",
        "a=é",
        "a=" + "1" * 511,
        ",".join(f"k{n}=1" for n in range(33)),
    ],
)
def test_a_state_that_does_not_follow_the_grammar_is_left_out(state: str) -> None:
    assert Trace.read(PARENT, state) == Trace.read(PARENT)


def test_a_trace_goes_on_under_a_span_of_our_own() -> None:
    found = Trace.read(PARENT, "a=1")
    assert found is not None
    told = found.under("req_1.0")
    assert told.traceparent == f"00-4bf92f3577b34da6a3ce929d0e0e4736-{span_id('req_1.0')}-01"
    assert (told.state, told.parent_id == found.parent_id) == ("a=1", False)


@pytest.mark.parametrize(("share", "sampled"), [(0.0, 0), (0.25, 250), (1.0, 1000)])
def test_a_share_of_traces_is_sampled(share: float, sampled: int) -> None:
    found = sum(Trace.begin(f"req_{number}", share).sampled for number in range(1000))
    assert abs(found - sampled) < 60
    assert found == sampled or 0 < share < 1


@given(st.text())
def test_any_text_is_a_context_or_none(text: str) -> None:
    found = Trace.read(text, text)
    assert found is None or Trace.read(found.traceparent) is not None


@given(st.text())
def test_what_begins_here_can_be_read_by_others(request_id: str) -> None:
    begun = Trace.begin(request_id).under(request_id)
    assert Trace.read(begun.traceparent) == begun
