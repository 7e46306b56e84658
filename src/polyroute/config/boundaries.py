"""Whether what routes and tenants ask of providers names providers that there are, and providers open buckets. Pure."""

from collections.abc import Collection, Iterator

from polyroute.config.document import Document
from polyroute.config.suggest import Vocabulary
from polyroute.errors import Problem

_SCHEMES = ("gs", "s3")


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
    for name, opening in document.providers.items():
        for at, bucket in enumerate(opening.buckets):
            scheme, _, rest = bucket.partition("://")
            if scheme not in _SCHEMES or not rest.partition("/")[0]:
                message, fix = f"`{bucket}` names no bucket", "write `gs://NAME` or `s3://NAME/FOLDER`"
                yield Problem(path=f"providers.{name}.buckets[{at}]", message=message, fix=fix)
