"""Whether a trial's arms can be arms, and nothing stands beside them that would have no effect. Pure."""

from collections.abc import Container, Iterator, Mapping

from polyroute.config.document import Route, Split
from polyroute.errors import Problem


def split_problems(path: str, route: Route, routes: Mapping[str, Route], models: Container[str]) -> Iterator[Problem]:
    if not isinstance(route.strategy, Split):
        return
    seen = set[str]()
    for at, arm in enumerate(route.strategy.arms):
        where, other = f"{path}.strategy.arms[{at}].route", routes.get(arm.route)
        if arm.route in seen:
            yield Problem(path=where, message=f"`{arm.route}` is an arm already", fix="give it one weight")
        elif other is not None and isinstance(other.strategy, Split):
            yield Problem(path=where, message=f"`{arm.route}` is a split itself", fix="name its arms here")
        elif "/" in arm.route and arm.route not in models:
            yield Problem(path=where, message="is no route and no model of the document", fix="name it in `models`")
        seen.add(arm.route)
    bare = Route(strategy=route.strategy)
    for name, written in zip(Route.__struct_fields__, Route.__struct_encode_fields__, strict=True):
        if getattr(route, name) != getattr(bare, name):
            message = "has no effect on a split: its arms decide"
            yield Problem(path=f"{path}.{written}", message=message, fix="say it on the arms' routes")
