"""What the document says of overload, as the crowd takes it."""

import pytest

from polyroute.config.document import Overload, Server
from polyroute.server.overload.crowd import Bounds, Crowd
from polyroute.server.overload.limit import Limit
from polyroute.wiring.overload import bounds_of, figures_of


def test_without_a_word_the_documents_defaults_are_the_crowds() -> None:
    told, usual = bounds_of(Server()), Bounds()
    assert (told.sheds, told.late_s, told.least) == (usual.sheds, usual.late_s, usual.least)
    assert (told.wait_s, told.burst_s, told.batch_s) == (usual.wait_s, usual.burst_s, usual.batch_s)


@pytest.mark.parametrize(
    ("server", "most_bytes"),
    [
        pytest.param(Server(overload=Overload(bodies_mb=100)), 100_000_000, id="as said"),
        pytest.param(Server(overload=Overload(bodies_mb=1)), 64_000_000, id="at least two of the largest"),
        pytest.param(Server(max_body_mb=0.1, workers=10**9), 200_000, id="an eighth of memory, shared by the workers"),
    ],
)
def test_there_is_room_for_bodies(server: Server, most_bytes: int) -> None:
    assert bounds_of(server).most_bytes == most_bytes


def test_figures_tell_a_limit_only_while_there_is_one() -> None:
    crowd = Crowd(Bounds())
    assert dict(figures_of(crowd)) == {"under_way": 0, "waiting": 0, "bodies_bytes": 0, "turn_ms": 0.0}
    crowd.limit = Limit(least=1, late_s=0.1, requests=70.6)
    assert dict(figures_of(crowd))["limit"] == 70
