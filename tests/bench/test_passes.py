"""What the load generator says, and what it is given to send."""

import json

import pytest
from bench.passes import Load, parse_report
from bench.processes import BenchError
from bench.traffic import Door, bodies
from bench.variants import SHAPES, gateway_document


def test_the_report_line_is_found_among_the_generators_own_words() -> None:
    text = 'Running 1s test\nJSON {"requests":10,"seconds":1.5,"errors":0,"p50_ms":2.5,"p99_ms":-nan}\n'
    assert parse_report(text) == Load(requests=10, seconds=1.5, errors=0, p50_ms=2.5, p99_ms=0.0)


def test_a_run_without_a_report_says_what_was_printed() -> None:
    with pytest.raises(BenchError, match="unable to connect"):
        parse_report("unable to connect")


@pytest.mark.parametrize("door", ["chat", "messages"])
def test_bodies_are_distinct_lines_of_about_a_kilobyte(door: Door) -> None:
    made = bodies(door, "bench", stream=False)
    assert len(set(made)) == 64
    assert all(900 < len(body) < 1100 and b"\n" not in body and json.loads(body)["model"] == "bench" for body in made)


def test_the_document_has_a_route_with_a_fallback_for_every_shape() -> None:
    document = gateway_document(8080)
    for shape in SHAPES:
        assert f"bench{shape}: {{primary: fake{shape}, fallback: fake-messages{shape}}}" in document
