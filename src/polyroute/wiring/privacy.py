"""From what a document says of privacy to what the path goes by: rules, boundaries, and who finds personal data."""

from collections.abc import Iterator
from functools import cached_property
from pkgutil import resolve_name

from polyroute.config import document as settings
from polyroute.config.document import Document
from polyroute.errors import ConfigError, Problem
from polyroute.privacy.detector import Detector, FindsPhones
from polyroute.stages.matching.match import Boundary
from polyroute.types.privacy import KINDS, DataPolicy, Finding, PiiRule

_PHONES = "polyroute.privacy.phones:Phones"


def rules_of(privacy: settings.Privacy | None) -> tuple[PiiRule, ...]:
    if privacy is None or not privacy.detect:
        return ()
    kinds = frozenset(KINDS if privacy.detect == "all" else privacy.detect)
    return (PiiRule(kinds=kinds, action=privacy.on_pii),)


def boundary_of(said: settings.Route | settings.Tenant, whose: str = "the route") -> Boundary:
    asked = said.data_policy
    return Boundary(
        whose=whose,
        region=said.region,
        private=said.private,
        providers=None if said.allowed_providers is None else frozenset(said.allowed_providers),
        data_policy=DataPolicy()
        if asked is None
        else DataPolicy(retention_days=asked.retention_days, trains=asked.trains),
    )


class _Later:
    """Telephone numbers for an override that asks for them, where the document does not: found at the first text."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        self._regions = regions

    @cached_property
    def _phones(self) -> FindsPhones:
        phones: FindsPhones = resolve_name(_PHONES)(self._regions)
        return phones

    def find(self, text: str) -> Iterator[Finding]:
        return self._phones.find(text)


def detector(document: Document) -> Detector:
    """Raises ConfigError where telephone numbers are looked for and their library is not installed."""
    wanting = next((path for path, said in _sections(document) if "phone" in _kinds(said)), None)
    if wanting is None:
        return Detector(_Later(settings.Privacy().phone_regions))
    regions = document.privacy.phone_regions if document.privacy is not None else settings.Privacy().phone_regions
    try:
        phones: FindsPhones = resolve_name(_PHONES)(regions)
    except ModuleNotFoundError:
        message = "telephone numbers are found by a library that is not here"
        fix = "pip install 'polyroute[pii]', or list the kinds in `detect` without `phone`"
        raise ConfigError([Problem(path=f"{wanting}.detect", message=message, fix=fix)]) from None
    except ValueError as exc:
        raise ConfigError([Problem(path="privacy.phone_regions", message=str(exc))]) from exc
    return Detector(phones)


def _sections(document: Document) -> Iterator[tuple[str, settings.Privacy | None]]:
    yield "privacy", document.privacy
    yield from ((f"routes.{name}.privacy", route.privacy) for name, route in document.routes.items())
    yield from ((f"tenants.{name}.privacy", tenant.privacy) for name, tenant in document.tenants.items())


def _kinds(privacy: settings.Privacy | None) -> frozenset[str]:
    return frozenset().union(*(rule.kinds for rule in rules_of(privacy)))
