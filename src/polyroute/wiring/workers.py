"""A document served by several processes of one machine: a supervisor and its workers, which count together."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from polyroute.config.load import Loaded
from polyroute.errors import PolyrouteError
from polyroute.server.crew import Crew, Post
from polyroute.server.supervisor import Line, Supervisor
from polyroute.stores.sqlite.counters import custody
from polyroute.wiring.stores import counters_of, open_store

_GRACE_S = 15.0  # beyond what requests under way get: to write the books


def serve_by_workers(
    loaded: Loaded,
    work: Callable[[Loaded, Post], int],
    *,
    read: Callable[[], Loaded],
    opened: Callable[[str], object],
) -> int:
    """The exit status, once all have ended. Raises OSError where the address is taken, StoreError.

    `work`: one worker's life in its own process, with the document as it is by then; its exit status. `read`: the
    document anew; `opened` is told the address.
    """
    server, in_force = loaded.document.server, [loaded]
    with ExitStack() as stack:
        crew = stack.enter_context(Crew.gathered(server.workers, server.host, server.port))
        stack.enter_context(_counters(loaded))

        def live(number: int, line: Line) -> int:
            return work(in_force[0], Post(crew=crew, number=number, line=line))

        def changed() -> None:
            try:
                in_force[0] = read()
            except PolyrouteError:
                return  # changed again meanwhile, and for the worse: whoever begins now begins with the one before

        supervisor = Supervisor(
            server.workers,
            live,
            opened=lambda: opened(crew.address),
            changed=changed,
            patience_s=server.notice_s + server.drain_s + _GRACE_S,
        )
        return supervisor.run()


@contextmanager
def _counters(loaded: Loaded) -> Iterator[None]:
    """Of the workers, where no server counts for them."""
    if loaded.document.store.shared != "memory":
        yield
        return
    with custody(counters_of(open_store(loaded.document, loaded.folder))):
        yield
