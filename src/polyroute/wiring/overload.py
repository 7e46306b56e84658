"""What the document says of more requests than one process can serve, as the crowd takes it."""

from collections.abc import Iterator

from polyroute.config.document import Server
from polyroute.server.overload.crowd import Bounds, Crowd
from polyroute.server.overload.memory import memory_bytes

_SHARE = 8  # of memory, for bodies, where the document does not say: what is made of them takes several times as much


def bounds_of(server: Server) -> Bounds:
    """For one of the document's workers."""
    overload, body_bytes = server.overload, int(server.max_body_mb * 1_000_000)
    if overload.bodies_mb is None:
        room_bytes = memory_bytes() // _SHARE // server.workers
    else:
        room_bytes = int(overload.bodies_mb * 1_000_000)
    return Bounds(
        sheds=overload.shed,
        late_s=overload.late_ms / 1000,
        least=overload.least,
        wait_s=overload.wait_ms / 1000,
        burst_s=overload.burst_s,
        batch_s=overload.batch_wait_s,
        most_bytes=max(room_bytes, 2 * body_bytes),
    )


def figures_of(crowd: Crowd) -> Iterator[tuple[str, float]]:
    """For those who watch; without a limit none is told."""
    if crowd.limit.is_set:
        yield "limit", int(crowd.limit.requests)
    yield "under_way", crowd.under_way()
    yield "waiting", crowd.waiting
    yield "bodies_bytes", crowd.held_bytes
    yield "turn_ms", crowd.limit.mean_s * 1000
