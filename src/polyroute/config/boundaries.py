"""Whether what routes and tenants ask of providers names providers that there are. Pure."""

from collections.abc import Collection, Iterator

from polyroute.config.document import Document
from polyroute.config.suggest import Vocabulary
from polyroute.errors import Problem


def boundary_problems(document: Document, providers: Collection[str]) -> Iterator[Problem]:
    known = Vocabulary(sorted(providers))
    places = (
        *((f"routes.{name}", route.allowed_providers) for name, route in document.routes.items()),
        *((f"tenants.{name}", tenant.allowed_providers) for name, tenant in document.tenants.items()),
    )
    for path, allowed in places:
        for at, provider in enumerate(allowed or ()):
            if provider not in providers:
                message, fix = f"there is no provider `{provider}`", known.fix(provider)
                yield Problem(path=f"{path}.allowed_providers[{at}]", message=message, fix=fix)
