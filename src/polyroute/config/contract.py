"""Whether a route's fallbacks can stand in for what they stand in for. Pure; finds every gap, not the first only.

Each fallback is compared with what the route promises before it: what its primary can do, or what every model of its
strategy can. What it lacks is a gap, unless the route accepts it by name; what nobody knows is neither. Models of one
strategy that differ among themselves, and words of a prompt that fall back to the default, are notes.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from polyroute.config.document import GAPS, Document, Logic, Route, names
from polyroute.config.suggest import Vocabulary
from polyroute.config.targets import models_behind, targets_of
from polyroute.errors import Problem
from polyroute.prompts.families import variant_for
from polyroute.prompts.reference import parse_reference, resolve
from polyroute.types.cards import Deployment
from polyroute.types.prompts import DEFAULT_VARIANT, Wordings
from polyroute.types.quirks import EMULATES_SCHEMA

_ABILITIES = ("tools", "json", "json_schema")
_INPUTS = {"vision": "image", "audio": "audio", "pdf": "pdf", "video": "video"}


class Contract(Struct, frozen=True, kw_only=True):
    """Not yet placed in a file."""

    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()  # worth knowing, and no hindrance


def contract(document: Document, found: Iterable[Deployment]) -> Contract:
    """`found` are the document's deployments, with what is known of them."""
    by_model: dict[str, list[Deployment]] = {}
    for deployment in found:
        by_model.setdefault(deployment.model, []).append(deployment)
    problems: list[Problem] = []
    notes: list[Problem] = []
    for name, route in document.routes.items():
        look = _Look(document, name, route, by_model)
        problems += look.problems()
        notes += look.notes()
    return Contract(problems=tuple(problems), notes=tuple(notes))


def acceptance_problems(path: str, route: Route) -> Iterator[Problem]:
    """Acceptances of what nobody could lack, or of who is no fallback."""
    fallbacks, words = Vocabulary(names(route.fallback)), Vocabulary(GAPS)
    for target, accepted in route.accepts.items():
        if target not in names(route.fallback):
            message, fix = f"`{target}` is no fallback of this route", fallbacks.fix(target)
            yield Problem(path=f"{path}.accepts.{target}", message=message, fix=fix)
        for at, word in enumerate(accepted):
            if word not in GAPS:
                message = f"there is no gap `{word}`"
                yield Problem(path=f"{path}.accepts.{target}[{at}]", message=message, fix=words.fix(word))


# ── what a model offers ───────────────────────────────────────────────────────────────────────────────────


class _Offer(Struct, frozen=True, kw_only=True):
    """What one model can do at some of its deployments. None: not known."""

    abilities: frozenset[str] | None
    inputs: frozenset[str] | None
    context: int | None
    output: int | None
    regions: frozenset[str] | None
    is_private: bool  # all of them are
    is_priced: bool  # none is without a price

    @property
    def is_known(self) -> bool:
        return not (self.abilities is None and self.inputs is None and self.context is None and self.output is None)


def _promised(deployments: list[Deployment]) -> _Offer:
    """What a caller may count on: what is known of any place, for whoever needs it is sent there."""
    cards = [deployment.card for deployment in deployments]
    stated = [deployment.region for deployment in deployments]
    return _Offer(
        abilities=_union(_abilities(deployment) for deployment in deployments),
        inputs=_union(card.modalities for card in cards),
        context=max((card.context_tokens for card in cards if card.context_tokens is not None), default=None),
        output=max((card.max_output_tokens for card in cards if card.max_output_tokens is not None), default=None),
        regions=None if None in stated else frozenset(region for region in stated if region is not None),
        is_private=all(deployment.private for deployment in deployments),
        is_priced=all(card.prices for card in cards),
    )


def _given(deployments: list[Deployment]) -> _Offer:
    """What a fallback can be counted on for: known to be lacking only where it is known of every place."""
    cards = [deployment.card for deployment in deployments]
    offer = _promised(deployments)
    return _Offer(
        abilities=None if any(card.capabilities is None for card in cards) else offer.abilities,
        inputs=None if any(card.modalities is None for card in cards) else offer.inputs,
        context=None if any(card.context_tokens is None for card in cards) else offer.context,
        output=None if any(card.max_output_tokens is None for card in cards) else offer.output,
        regions=offer.regions,
        is_private=offer.is_private,
        is_priced=offer.is_priced,
    )


def _abilities(deployment: Deployment) -> frozenset[str] | None:
    known = deployment.card.capabilities
    if known is None or EMULATES_SCHEMA.isdisjoint(deployment.quirks):
        return known
    return known | {"json", "json_schema"}


def _union(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    known = [each for each in sets if each is not None]
    return frozenset().union(*known) if known else None


def _common(offers: list[_Offer]) -> _Offer:
    """What holds whichever of them answers."""
    return _Offer(
        abilities=_intersection([offer.abilities for offer in offers]),
        inputs=_intersection([offer.inputs for offer in offers]),
        context=min((offer.context for offer in offers if offer.context is not None), default=None),
        output=min((offer.output for offer in offers if offer.output is not None), default=None),
        regions=_union(offer.regions for offer in offers) if all(offer.regions for offer in offers) else None,
        is_private=all(offer.is_private for offer in offers),
        is_priced=all(offer.is_priced for offer in offers),
    )


def _intersection(sets: list[frozenset[str] | None]) -> frozenset[str] | None:
    known = [each for each in sets if each is not None]
    return frozenset.intersection(*known) if known and len(known) == len(sets) else None


# ── one route ─────────────────────────────────────────────────────────────────────────────────────────────


class _Gap(Struct, frozen=True, kw_only=True):
    word: str
    message: str


class _Look:
    def __init__(self, document: Document, name: str, route: Route, by_model: Mapping[str, list[Deployment]]) -> None:
        self._document = document
        self._path = f"routes.{name}"
        self._route = route
        self._by_model = by_model
        beside = ("fallback", "strategy.router")
        chosen = [target for inside, target in targets_of(route) if not inside.startswith(beside)]
        self._first = list(dict.fromkeys(model for target in chosen for model in self._behind(target)))

    def problems(self) -> Iterator[Problem]:
        if not self._first:
            return
        promised = _common([_promised(self._by_model[model]) for model in self._first])
        said = f"`{self._first[0]}`" if len(self._first) == 1 else "the models before it"
        for inside, target in targets_of(self._route):
            if not inside.startswith("fallback"):
                continue
            accepted = self._route.accepts.get(target, ())
            for model in self._behind(target):
                if model in self._first:
                    continue
                gaps = list(self._gaps(promised, _given(self._by_model[model]), said))
                open_ = [gap for gap in gaps if gap.word not in accepted]
                if open_:
                    words = ", ".join(dict.fromkeys((*accepted, *(gap.word for gap in open_))))
                    lacking = "; ".join(gap.message for gap in open_)
                    yield Problem(
                        path=f"{self._path}.{inside}",
                        message=f"`{model}` cannot stand in for {said}: {lacking}",
                        fix=f"another fallback, or accept it: `accepts: {{{target}: [{words}]}}`",
                    )

    def notes(self) -> Iterator[Problem]:
        yield from self._within_strategy()
        yield from self._wordings()

    def _behind(self, target: str) -> list[str]:
        """The callable models that a target stands for."""
        return [model for model in models_behind(self._document.routes, target) if model in self._by_model]

    def _gaps(self, promised: _Offer, given: _Offer, said: str) -> Iterator[_Gap]:
        if promised.abilities is not None and given.abilities is not None:
            lacking = promised.abilities - given.abilities
            for word in _ABILITIES:
                if word in lacking:
                    yield _Gap(word=word, message=f"it has no {word}")
        if promised.inputs is not None and given.inputs is not None:
            for word, kind in _INPUTS.items():
                if kind in promised.inputs - given.inputs:
                    yield _Gap(word=word, message=f"it takes no {kind} input")
        longest = self._longest(promised)
        if longest is not None and given.context is not None and given.context < longest:
            yield _Gap(word="context", message=f"its context of {given.context} tokens is less than {longest}")
        if promised.output is not None and given.output is not None and given.output < promised.output:
            message = f"its answers end at {given.output} tokens, those of {said} at {promised.output}"
            yield _Gap(word="output", message=message)
        yield from self._boundaries(promised, given)
        if promised.is_priced and not given.is_priced:
            yield _Gap(word="price", message="its price is not known, so that no budget could hold it")

    def _longest(self, promised: _Offer) -> int | None:
        """The longest input that may come to the fallback."""
        limit = self._route.max_input_tokens
        if limit is None or promised.context is None or self._route.on_too_long == "reroute":
            return promised.context
        return min(limit, promised.context)

    def _boundaries(self, promised: _Offer, given: _Offer) -> Iterator[_Gap]:
        bound = self._route.region
        if bound is not None and given.regions is not None and bound not in given.regions:
            yield _Gap(word="region", message=f"the route is bound to {bound}, where it is not: it is never asked")
        elif bound is None and promised.regions and (given.regions or frozenset()) - promised.regions:
            here, there = sorted(promised.regions), sorted((given.regions or frozenset()) - promised.regions)
            yield _Gap(word="region", message=f"requests would leave {', '.join(here)} for {', '.join(there)}")
        if promised.is_private and not given.is_private:
            yield _Gap(word="private", message="it is not private: data would leave one's own hands")

    # ── notes ─────────────────────────────────────────────────────────────────────────────────────────────

    def _within_strategy(self) -> Iterator[Problem]:
        if self._route.strategy is None or isinstance(self._route.strategy, Logic) or len(self._first) < 2:
            return
        first = _promised(self._by_model[self._first[0]])
        for model in self._first[1:]:
            given = _given(self._by_model[model])
            gaps = list(self._gaps(first, given, f"`{self._first[0]}`"))
            if gaps:
                differs = "; ".join(gap.message for gap in gaps)
                message = (
                    f"`{model}` is not all that `{self._first[0]}` is: {differs}; requests that need it go elsewhere"
                )
                yield Problem(path=f"{self._path}.strategy", message=message)
            elif not given.is_known:
                yield Problem(path=f"{self._path}.strategy", message=f"nothing is known of what `{model}` can do")

    def _wordings(self) -> Iterator[Problem]:
        wordings = self._wording()
        if wordings is None:
            return
        for target in names(self._route.fallback):
            for model in self._behind(target):
                own = {variant_for(wordings.variants, deployment) for deployment in self._by_model[model]}
                if own == {DEFAULT_VARIANT} and any(
                    variant_for(wordings.variants, deployment) != DEFAULT_VARIANT
                    for first in self._first
                    for deployment in self._by_model[first]
                ):
                    message = f"the prompt has words for the models before it, and its default ones for `{model}`"
                    yield Problem(path=f"{self._path}.prompt", message=message)

    def _wording(self) -> Wordings | None:
        """The declared version of the route's prompt that is in force."""
        if self._route.prompt is None:
            return None
        reference = parse_reference(self._route.prompt)
        prompt = self._document.prompts.get(reference.name)
        if prompt is None:
            return None
        number = resolve(reference, {int(number): None for number in prompt.versions}, prompt.labels)
        return prompt.versions[str(number)]
