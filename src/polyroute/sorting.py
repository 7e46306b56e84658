"""Texts put to one of the document's classifiers, by name. What a model is asked for it is its caller's own request."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from polyroute.errors import UnknownObject
from polyroute.ports import CallModel, ClassesTexts, Monotonic
from polyroute.stages.classification.asked import AskedClassifier
from polyroute.types.content import Message, Text
from polyroute.types.request import Request
from polyroute.types.routing import Classed

OnDone = Callable[[int], None]  # told how many are done since


class Sorter(Struct, frozen=True, kw_only=True):
    local: Mapping[str, ClassesTexts]
    asked: Mapping[str, AskedClassifier]
    monotonic: Monotonic

    def find(self, name: str | None) -> str:
        """The classifier that is meant: where there is one only, it needs no name. Raises UnknownObject."""
        known = sorted((*self.local, *self.asked))
        if name in known:
            return name
        if name is None and len(known) == 1:
            return known[0]
        told = f"there is no classifier `{name[:80]}`" if name is not None else "say which classifier"
        raise UnknownObject(f"{told}; the document has {', '.join(f'`{k}`' for k in known) or 'none'}")

    async def classed(
        self, name: str, texts: Sequence[str], call_model: CallModel, on_done: OnDone = lambda count: None
    ) -> list[Classed]:
        """In the order of `texts`. Raises UnknownObject, WorkerFailed."""
        if (local := self.local.get(self.find(name))) is not None:
            return await local.classed_all(texts, on_done)
        asked, found = self.asked[name], list[Classed]()
        for text in texts:
            request = Request(model=asked.model, messages=(Message(role="user", parts=(Text(text=text),)),))
            found.append(await asked.classed(request, call_model, self.monotonic))
            on_done(1)
        return found
