"""How long a request is: asked of its provider where that counts, else estimated. Nothing is spent."""

from polyroute.catalog import tokens
from polyroute.deciding import Deciding, boundaries_of
from polyroute.errors import ProviderError
from polyroute.journey import Parts
from polyroute.ports import CountsTokens
from polyroute.stages.matching.match import match
from polyroute.stages.matching.needs import needs_of
from polyroute.stages.route import admit
from polyroute.types.access import Caller
from polyroute.types.request import Request


class Counting:
    def __init__(self, parts: Parts, deciding: Deciding) -> None:
        self._parts = parts
        self._deciding = deciding

    async def count(self, request: Request, caller: Caller) -> int | None:
        """Input tokens as the route's first able model counts them; None where its provider does not count."""
        parts, deciding = self._parts, self._deciding
        view = deciding.sound_view(caller)
        route = view.routes.find(request.model)
        admit(route, request, caller)
        request, wording, shield = deciding.shielded(request, route, view)
        needs, boundaries = needs_of(request, tokens.measure(request)), boundaries_of(route, view, shield)
        able = match(route.deployments, needs, boundaries, lambda d: deciding.obstacles(request, d)).deployments
        counter: object = parts.around.providers[able[0].provider] if able else None
        if not isinstance(counter, CountsTokens):
            return None
        admission = await parts.accounts.enter(caller, 0, parts.around.monotonic())
        try:
            worded = request if wording is None else wording.put_to(request, able[0])
            return await counter.count_tokens(worded, able[0], able[0].deadlines)
        except ProviderError:
            return None
        finally:
            parts.accounts.leave(admission)

    def estimate(self, request: Request, caller: Caller) -> int:
        """Input tokens, most likely, as the route's first model counts them; with the route's own words."""
        view = self._deciding.sound_view(caller)
        route = view.routes.find(request.model)
        request, wording, _ = self._deciding.shielded(request, route, view)
        size = tokens.measure(request).plus(wording.added if wording is not None else tokens.NOTHING)
        return size.estimate_for(route.deployments[0].upstream_model) if route.deployments else size.estimate
