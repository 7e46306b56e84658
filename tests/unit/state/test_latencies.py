from tests.unit.rig import deployment

from polyroute.state.latencies import Latencies

MODEL = deployment("m", latency_ms=400.0)


def seen(*figures: float, at_s: float = 0.0) -> Latencies:
    latencies = Latencies()
    for figure in figures:
        latencies.note(MODEL.id, figure, at_s)
    return latencies


def test_until_enough_was_seen_the_card_stands() -> None:
    assert seen(*[10.0] * 4).of(MODEL, 0.0) == 400.0
    assert seen(*[10.0] * 5).of(MODEL, 0.0) == 10.0
    assert Latencies().of(deployment("m"), 0.0) is None


def test_newer_figures_move_the_average() -> None:
    found = seen(*[100.0] * 5, 200.0).of(MODEL, 0.0)
    assert found == 110.0


def test_what_nobody_has_called_for_a_while_gets_another_chance() -> None:
    latencies = seen(*[9000.0] * 9)
    assert latencies.of(MODEL, 300.0) == 9000.0
    assert latencies.of(MODEL, 301.0) == 400.0
    latencies.note(MODEL.id, 50.0, 301.0)
    assert latencies.of(MODEL, 301.0) == 400.0, "what it was then is forgotten"
